SELECT TOP (?) id, worker_id, mode FROM "dbo"."jm_bucket" WITH (XLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK) WHERE status IN ('lost', 'draining')
ORDER BY id
