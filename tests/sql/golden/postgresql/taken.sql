UPDATE "public"."jm_job" SET bucket_id = %(bucket_id)s, claim_no = claim_no + 1, recheck = 1 WHERE id = ANY(%(ids)s)
