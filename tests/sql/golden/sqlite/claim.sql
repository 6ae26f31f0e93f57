UPDATE "jm_job" SET bucket_id = ?, claim_no = claim_no + 1
WHERE bucket_id IS NULL AND id IN (
  SELECT id FROM "jm_job"
  WHERE lane = ? AND priority = ? AND bucket_id IS NULL AND run_at <= ?
  ORDER BY run_at, id LIMIT ?)
