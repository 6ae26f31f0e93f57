INSERT INTO "public"."jm_bucket" (id, worker_id, worker_name, lane, priority, mode, status, lease_until)
VALUES (%(id)s, %(worker_id)s, %(worker_name)s, %(lane)s, %(priority)s, %(mode)s, 'active', statement_timestamp() + %(lease)s * interval '1 microsecond')
