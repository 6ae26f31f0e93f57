SELECT count(*) FROM information_schema.tables WHERE table_schema = 'golden' AND table_name = 'jm_meta'
