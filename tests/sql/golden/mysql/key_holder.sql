SELECT id, bucket_id, run_at, enqueued_at
FROM `golden`.`jm_job` WHERE unique_hash = %(unique_hash)s
