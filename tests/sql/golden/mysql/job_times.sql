SELECT id, bucket_id, run_at, enqueued_at FROM `golden`.`jm_job` WHERE id = %(id)s
