SELECT name, store_id, added_at, draining FROM `golden`.`jm_agent` ORDER BY name
