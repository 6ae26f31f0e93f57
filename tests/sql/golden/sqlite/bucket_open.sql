INSERT INTO "jm_bucket" (id, worker_id, worker_name, lane, priority, mode, status, lease_until)
VALUES (:id, :worker_id, :worker_name, :lane, :priority, :mode, 'active', :now + :lease)
