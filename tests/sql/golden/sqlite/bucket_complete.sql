UPDATE "jm_bucket" SET status = 'completing' WHERE worker_id = :worker_id AND status = 'active'
