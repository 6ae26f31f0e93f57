INSERT INTO "jm_history" (id, definition_id, lane, priority, run_at, enqueued_at, claim_no, placement, data, content_type, metadata, timeout_ms, max_retries, retry, unique_key, schedule_id, occurrence_at, failures, losses, attempt, started_at, finished_at, result, worker_id, status)
SELECT j.id, j.definition_id, j.lane, j.priority, j.run_at, j.enqueued_at, j.claim_no, j.placement, j.data, j.content_type, j.metadata, j.timeout_ms, j.max_retries, j.retry, j.unique_key, j.schedule_id, j.occurrence_at, j.failures, j.losses, json_extract(f.value, '$[0]'),
  json_extract(f.value, '$[1]'), json_extract(f.value, '$[2]'), json_extract(f.value, '$[3]'), :worker_id, 1
FROM json_each(:facts) f CROSS JOIN "jm_job" j ON j.id = substr(:ids, f.key * 16 + 1, 16)
WHERE j.bucket_id = substr(:buckets, f.key * 16 + 1, 16) AND j.claim_no = json_extract(f.value, '$[4]')
