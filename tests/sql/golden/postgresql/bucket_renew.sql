UPDATE "public"."jm_bucket" SET lease_until = statement_timestamp() + %(lease)s * interval '1 microsecond'
WHERE id = ANY(%(ids)s) AND worker_id = %(worker_id)s AND status IN ('active', 'completing')
  AND lease_until > statement_timestamp()
