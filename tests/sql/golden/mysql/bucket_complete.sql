UPDATE `golden`.`jm_bucket` SET status = 'completing' WHERE worker_id = %(worker_id)s AND status = 'active'
