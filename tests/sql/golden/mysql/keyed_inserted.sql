SELECT j.id, j.run_at, j.enqueued_at
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
  a_unique_hash CHAR(64) CHARACTER SET utf8mb4 PATH '$.unique_hash')) a STRAIGHT_JOIN `golden`.`jm_job` j FORCE INDEX (PRIMARY) ON j.id = UNHEX(a.a_id)
