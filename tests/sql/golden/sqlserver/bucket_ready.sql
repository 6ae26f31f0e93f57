SELECT TOP (?) id FROM "dbo"."jm_bucket" WITH (XLOCK, READPAST, ROWLOCK, READCOMMITTEDLOCK) WHERE status = 'ready_to_delete'
ORDER BY id
