SELECT claim_no, attempt, unique_key, lane FROM `golden`.`jm_history` WHERE id = %(id)s FOR UPDATE
