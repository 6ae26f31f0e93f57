SELECT id, bucket_id, (extract(epoch FROM date_trunc('second', run_at))::bigint * 1000000 + mod(extract(microseconds FROM run_at)::bigint, 1000000)), (extract(epoch FROM date_trunc('second', enqueued_at))::bigint * 1000000 + mod(extract(microseconds FROM enqueued_at)::bigint, 1000000))
FROM "public"."jm_job" WHERE unique_hash = %(unique_hash)s
