SELECT TOP (?) id, worker_id, mode FROM "dbo"."jm_bucket" WITH (XLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK) WHERE status IN ('lost', 'draining', 'ready_to_delete')
ORDER BY id
