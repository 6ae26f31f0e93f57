SELECT id FROM `golden`.`jm_job` FORCE INDEX (jm_job_ready) WHERE bucket_id IN (%(ids)s) AND cancel_requested_at IS NOT NULL
