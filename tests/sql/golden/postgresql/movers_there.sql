SELECT id FROM "public"."jm_bucket" WHERE id = ANY(%(ids)s) AND mode = 'drain'
