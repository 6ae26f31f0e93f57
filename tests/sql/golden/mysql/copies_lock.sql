SELECT id, bucket_id, placement FROM `golden`.`jm_job` FORCE INDEX (PRIMARY) WHERE id IN (%(ids)s) FOR UPDATE
