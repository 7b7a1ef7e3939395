-- What requests with an Idempotency-Key were answered, kept in the transaction that did what they asked.
CREATE TABLE idempotency_keys (
  user_id      text NOT NULL,
  key          text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
  fingerprint  bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
  status       integer,  -- NULL only within the transaction that claimed the key
  content_type text NOT NULL DEFAULT '',
  body         text NOT NULL DEFAULT '',
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
