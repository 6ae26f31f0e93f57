SELECT bucket_id, lane, attempt, failures, losses FROM "public"."jm_job" WHERE id = %(id)s FOR UPDATE
