-- name: idempotency_claim
-- Waits for a transaction that holds the same key.  A key past its time is claimed anew.
INSERT INTO idempotency_keys AS k (user_id, key, fingerprint) VALUES ($1, $2, decode($3, 'hex'))
ON CONFLICT (user_id, key) DO UPDATE
SET fingerprint = EXCLUDED.fingerprint, status = NULL, content_type = '', body = '', created_at = now()
WHERE k.created_at <= now() - make_interval(secs => $4)
RETURNING true;

-- name: idempotency_answer
SELECT fingerprint = decode($3, 'hex') AS same_request, status, content_type, body
FROM idempotency_keys
WHERE user_id = $1 AND key = $2 AND status IS NOT NULL;

-- name: idempotency_keep
UPDATE idempotency_keys SET status = $3, content_type = $4, body = $5 WHERE user_id = $1 AND key = $2;

-- name: idempotency_purge
DELETE FROM idempotency_keys
WHERE (user_id, key) IN (
  SELECT user_id, key FROM idempotency_keys
  WHERE created_at <= now() - make_interval(secs => $1)
  ORDER BY created_at
  LIMIT $2
  FOR UPDATE SKIP LOCKED);
