DELETE FROM `golden`.`jm_job` WHERE id = %(id)s AND bucket_id = %(bucket_id)s AND claim_no = %(claim_no)s
