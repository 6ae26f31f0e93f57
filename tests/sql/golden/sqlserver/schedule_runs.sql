SELECT schedule_id, sum(CASE WHEN run_at < ? THEN 1 ELSE 0 END),
       sum(CASE WHEN run_at < ? THEN 0 ELSE 1 END)
FROM "dbo"."jm_job" WITH (ROWLOCK, INDEX(jm_job_schedule)) WHERE schedule_id IS NOT NULL AND schedule_id IN (SELECT i.value COLLATE Latin1_General_100_BIN2 FROM OPENJSON(CAST(? AS NVARCHAR(MAX))) AS i) GROUP BY schedule_id
