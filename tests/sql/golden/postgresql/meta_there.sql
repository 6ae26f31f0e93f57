SELECT to_regclass('"public"."jm_meta"') IS NOT NULL
