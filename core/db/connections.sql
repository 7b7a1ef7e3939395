-- name: commit_barrier
-- Writes a record of our own in a transaction that waits for the disk, and so for everything that was
-- committed on any connection before it.
SELECT pg_logical_emit_message(true, 'gathering', '');

-- name: pipeline_barrier
-- The same for a session whose commits do not wait: this one does, in the way $1 says.
SELECT set_config('synchronous_commit', $1, true), pg_logical_emit_message(true, 'gathering', '');

-- name: backend_cancel
-- Only while it is busy with what we mean: a statement that began just now is another one.
SELECT pg_cancel_backend(pid) FROM pg_stat_activity
WHERE pid = $1 AND state = 'active' AND clock_timestamp() - query_start >= make_interval(secs => $2);

-- name: try_advisory_lock
-- Held by the session, and gone with it.
SELECT pg_try_advisory_lock($1::bigint) AS locked;
