SELECT id, lane, priority FROM "jm_job"
WHERE bucket_id = :store_id AND unsynced = 0 AND id > :after ORDER BY id LIMIT :limit
