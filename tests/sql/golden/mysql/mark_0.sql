UPDATE (%(rows)s) a STRAIGHT_JOIN `golden`.`jm_job` j FORCE INDEX (PRIMARY)
  ON j.id = a.id AND j.bucket_id = a.bucket_id AND j.claim_no = a.claim_no
SET j.started_at = COALESCE(j.started_at, a.started_at),
    j.progress_fraction = COALESCE(a.progress_fraction, j.progress_fraction),
    j.progress_message = COALESCE(a.progress_message, j.progress_message)
