INSERT INTO `golden`.`jm_job` (id, definition_id, lane, priority, run_at, enqueued_at, data, metadata, timeout_ms,
  max_retries, retry, schedule_id, occurrence_at, recheck, unique_key, unique_hash)
SELECT UNHEX(a_id), a_definition_id, a_lane, a_priority, COALESCE(a_run_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + a_delay), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)),
  a_data, a_metadata, a_timeout_ms, a_max_retries, a_retry, a_schedule_id, a_occurrence_at, a_recheck,
  a_unique_key, UNHEX(a_unique_hash)
FROM JSON_TABLE(CONVERT(%(jobs)s USING utf8mb4), '$[*]' COLUMNS (
  a_id CHAR(32) CHARACTER SET utf8mb4 PATH '$.id',
  a_definition_id VARCHAR(200) CHARACTER SET utf8mb4 PATH '$.definition_id',
  a_lane VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.lane',
  a_priority SMALLINT PATH '$.priority',
  a_run_at BIGINT PATH '$.run_at',
  a_delay BIGINT PATH '$.delay',
  a_data LONGTEXT CHARACTER SET utf8mb4 PATH '$.data',
  a_metadata LONGTEXT CHARACTER SET utf8mb4 PATH '$.metadata',
  a_timeout_ms BIGINT PATH '$.timeout_ms',
  a_max_retries INT PATH '$.max_retries',
  a_retry LONGTEXT CHARACTER SET utf8mb4 PATH '$.retry',
  a_schedule_id VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.schedule_id',
  a_occurrence_at BIGINT PATH '$.occurrence_at',
  a_recheck SMALLINT PATH '$.recheck',
  a_unique_key VARCHAR(255) CHARACTER SET utf8mb4 PATH '$.unique_key',
  a_unique_hash CHAR(64) CHARACTER SET utf8mb4 PATH '$.unique_hash')) a
ON DUPLICATE KEY UPDATE claim_no = claim_no
