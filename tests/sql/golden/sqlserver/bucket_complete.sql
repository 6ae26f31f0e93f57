UPDATE "dbo"."jm_bucket" SET status = 'completing' WHERE worker_id = ? AND status = 'active'
