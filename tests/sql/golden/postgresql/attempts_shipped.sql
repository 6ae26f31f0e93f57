DELETE FROM "public"."jm_attempt" WHERE claim_no = %(claim_no)s AND job_id = ANY(%(ids)s)
