DROP TABLE audit_events;
DROP TABLE token_revocations;
DROP TABLE users;
