INSERT INTO `golden`.`jm_agent` (name, store_id, added_at) VALUES (%(name)s, %(store_id)s, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)))
