-- name: user_account
SELECT id, public_id, email, name, role, is_active, created_at, password_hash
FROM users
WHERE email_lower = lower($1);

-- name: user_by_public_id
SELECT id, public_id, email, name, role, is_active, created_at
FROM users
WHERE public_id = $1;

-- name: user_add
INSERT INTO users (email, name, password_hash)
VALUES ($1, $2, $3)
ON CONFLICT (email_lower) DO NOTHING
RETURNING id, public_id, email, name, role, is_active, created_at;

-- name: user_rehash
UPDATE users
SET password_hash = $3, updated_at = now()
WHERE id = $1 AND password_hash = $2;

-- name: user_deactivate
UPDATE users
SET is_active = false, updated_at = now()
WHERE public_id = $1 AND is_active;

-- name: user_ensure_admin
-- Nothing is written when e-mail and configured hash are the ones of last time.
INSERT INTO users AS u (public_id, email, name, role, password_hash, password_source_sha256)
VALUES ('admin', $1, $2, 'admin', $3, decode($4, 'hex'))
ON CONFLICT (public_id) DO UPDATE
SET email = excluded.email,
    is_active = true,
    password_hash = CASE WHEN u.password_source_sha256 IS DISTINCT FROM excluded.password_source_sha256
                         THEN excluded.password_hash ELSE u.password_hash END,
    tokens_valid_from = CASE WHEN u.password_source_sha256 IS DISTINCT FROM excluded.password_source_sha256
                             THEN now() ELSE u.tokens_valid_from END,
    password_source_sha256 = excluded.password_source_sha256,
    updated_at = now()
WHERE u.email <> excluded.email OR NOT u.is_active
   OR u.password_source_sha256 IS DISTINCT FROM excluded.password_source_sha256;

-- name: user_any_admin
SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin');

-- name: user_add_first_admin
INSERT INTO users (public_id, email, name, role, password_hash)
SELECT 'admin', $1, $2, 'admin', $3
WHERE NOT EXISTS (SELECT 1 FROM users WHERE role = 'admin')
ON CONFLICT (public_id) DO NOTHING;

-- name: token_check
-- $3 is the latest moment at which the token can have been issued.
SELECT u.public_id AS user_id, u.email, u.name, u.role
FROM users u
WHERE u.public_id = $1 AND u.is_active AND u.tokens_valid_from <= $3
  AND NOT EXISTS (SELECT 1 FROM token_revocations r WHERE r.token_sha256 = decode($2, 'hex'));

-- name: token_revoke
-- Told to every instance, for the streams that were opened with it.
WITH revoked AS (
    INSERT INTO token_revocations (token_sha256, user_id, reason, expires_at)
    SELECT decode($1, 'hex'), u.id, $3, $4
    FROM users u
    WHERE u.public_id = $2
    ON CONFLICT (token_sha256) DO NOTHING
    RETURNING token_sha256
)
INSERT INTO events (type, data)
SELECT 'token.revoked', jsonb_build_object('sha256', encode(token_sha256, 'hex')) FROM revoked;

-- name: token_purge
-- A day more than needed, for clocks that disagree.
DELETE FROM token_revocations
WHERE token_sha256 IN (
  SELECT token_sha256 FROM token_revocations
  WHERE expires_at < now() - interval '1 day'
  ORDER BY expires_at
  LIMIT $1
  FOR UPDATE SKIP LOCKED);

-- name: token_revocation_counts (slow)
SELECT count(*) AS total, count(*) FILTER (WHERE expires_at > $1) AS active
FROM token_revocations;

-- name: audit_add
INSERT INTO audit_events (kind, user_id, address, request_id, details)
VALUES ($1, (SELECT id FROM users WHERE public_id = $2), left($3, 100), left($4, 100), $5::jsonb);
