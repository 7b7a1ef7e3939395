-- The ledger of migrations, the lock of their runner, and what a dry run looks at.
-- The ledger is found by the session's search_path, as everything the files make.

-- name: migration_place
SELECT coalesce(current_schema(), '')::text AS schema,
       to_regclass('gathering_migrations') IS NOT NULL AS has_ledger;

-- name: migration_ledger
SELECT number, name, sha256, applied_at, duration_ms, state, statements_done, statements_sha256
FROM gathering_migrations
ORDER BY number;

-- name: migration_record
INSERT INTO gathering_migrations (number, name, sha256, duration_ms)
VALUES ($1::integer, $2, $3, $4::bigint)
ON CONFLICT (number) DO UPDATE
SET name = excluded.name, sha256 = excluded.sha256, applied_at = clock_timestamp(),
    duration_ms = excluded.duration_ms, state = 'applied', statements_done = 0, statements_sha256 = NULL;

-- name: migration_forget
DELETE FROM gathering_migrations WHERE number = $1::integer;

-- How far a file without a transaction is; $6 is the text that is done.
-- name: migration_mark
INSERT INTO gathering_migrations (number, name, sha256, state, statements_done, statements_sha256)
VALUES ($1::integer, $2, $3, $4, $5::integer, encode(sha256(convert_to($6::text, 'UTF8')), 'hex'))
ON CONFLICT (number) DO UPDATE
SET sha256 = excluded.sha256, state = excluded.state, statements_done = excluded.statements_done,
    statements_sha256 = excluded.statements_sha256;

-- name: migration_digest
SELECT encode(sha256(convert_to($1::text, 'UTF8')), 'hex') AS digest;

-- name: migration_unlock
SELECT pg_advisory_unlock($1::bigint) AS unlocked;

-- name: migration_lock_holder
SELECT l.pid::bigint AS pid, coalesce(host(a.client_addr), 'this machine') AS client, a.backend_start AS since
FROM pg_locks l
JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid = ($1::bigint >> 32)::oid AND l.objid = ($1::bigint & 4294967295)::oid;

-- No row: there is no such index.
-- name: migration_index
SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass($1);

-- name: migration_relation_locks
SELECT relation::bigint AS relation, mode
FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
ORDER BY relation, mode;

-- A table's file changes when all its rows are written anew.
-- name: migration_relations
SELECT c.oid::bigint AS relation, c.oid::regclass::text AS name,
       CASE WHEN c.relkind IN ('r', 'm') THEN coalesce(pg_relation_filenode(c.oid), 0)::bigint
            ELSE 0 END AS file
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast');
