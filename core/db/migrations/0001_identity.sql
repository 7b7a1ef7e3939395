-- Who may ask: users, the tokens they gave back, and what they did to get in and out.
--
-- updated_at is set by the statements that change a row; no triggers.

-- public_id is the user's name for everybody outside the database: "admin" for the built-in
-- administrator, a UUID for the others.  tokens_valid_from ends all tokens issued before it.
CREATE TABLE users (
  id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id              text NOT NULL DEFAULT gen_random_uuid()::text
                         CHECK (public_id = 'admin' OR public_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
  email                  text NOT NULL CHECK (char_length(email) BETWEEN 1 AND 254),
  email_lower            text NOT NULL GENERATED ALWAYS AS (lower(email)) STORED,
  name                   text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  password_hash          text NOT NULL CHECK (octet_length(password_hash) BETWEEN 1 AND 512),
  role                   text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
  is_active              boolean NOT NULL DEFAULT true,
  -- Of the configured hash this password came from; NULL when it came from nowhere else.
  password_source_sha256 bytea CHECK (octet_length(password_source_sha256) = 32),
  tokens_valid_from      timestamptz NOT NULL DEFAULT '-infinity',
  created_at             timestamptz NOT NULL DEFAULT now(),
  updated_at             timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT users_public_id_key UNIQUE (public_id),
  CONSTRAINT users_email_lower_key UNIQUE (email_lower),
  CONSTRAINT users_admin_check CHECK (public_id <> 'admin' OR role = 'admin')
);
CREATE INDEX users_role_idx ON users (role) WHERE role = 'admin';

-- Tokens that no longer hold although their time is not over.
CREATE TABLE token_revocations (
  token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
  user_id      bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  reason       text NOT NULL DEFAULT 'logout' CHECK (char_length(reason) BETWEEN 1 AND 50),
  revoked_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL
);
CREATE INDEX token_revocations_expires_at_idx ON token_revocations (expires_at);
CREATE INDEX token_revocations_user_id_idx ON token_revocations (user_id);

-- The record outlives the user it is about.
CREATE TABLE audit_events (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('auth_success', 'auth_failure', 'user_registered', 'logout')),
  user_id    bigint REFERENCES users (id) ON DELETE SET NULL,
  address    text NOT NULL CHECK (char_length(address) <= 100),
  request_id text NOT NULL CHECK (char_length(request_id) <= 100),
  details    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object'),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_events_created_at_idx ON audit_events (created_at DESC);
CREATE INDEX audit_events_user_id_idx ON audit_events (user_id, created_at DESC) WHERE user_id IS NOT NULL;
