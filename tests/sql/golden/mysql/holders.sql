SELECT id, bucket_id FROM `golden`.`jm_job` FORCE INDEX (PRIMARY) WHERE id IN (%(ids)s)
