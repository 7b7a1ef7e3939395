-- What `gathering doctor` asks a server.  Nothing here changes anything.

-- Connections: what all clients may have, the role, and the database; negative is without a bound.
-- name: doctor_server
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::bigint AS version_number,
       coalesce(host(inet_server_addr()), 'a unix socket') AS address,
       current_user::text AS role,
       current_database()::text AS database,
       pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS read_only,
       current_setting('fsync')::boolean AS fsync,
       current_setting('full_page_writes')::boolean AS full_page_writes,
       current_setting('synchronous_commit') <> 'off' AS synchronous_commit,
       current_setting('max_connections')::bigint
         - current_setting('superuser_reserved_connections')::bigint
         - coalesce(current_setting('reserved_connections', true)::bigint, 0) AS connections_max,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)::bigint AS role_connections_max,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database())::bigint
         AS database_connections_max,
       (SELECT count(*) FROM pg_stat_activity
        WHERE datid IS NOT NULL AND application_name NOT LIKE 'gathering%') AS others;

-- name: doctor_clock
SELECT clock_timestamp() AS now;

-- The daemons on this database that were seen lately.
-- name: doctor_daemons
SELECT count(*) AS daemons FROM instances WHERE seen_at > now() - make_interval(secs => $1);

-- What there is of the tables $1 and the sequences $2, and what the role may do with it.
-- name: doctor_rights
WITH ours AS (
  SELECT c.oid, c.relname::text AS name, c.relkind = 'S' AS is_sequence,
         pg_has_role(c.relowner, 'USAGE') AS owned
  FROM pg_class c
  WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    AND (c.relkind IN ('r', 'p') AND c.relname = ANY ($1::text[])
         OR c.relkind = 'S' AND c.relname = ANY ($2::text[])))
SELECT coalesce(current_schema(), '')::text AS schema,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
       coalesce(has_function_privilege(to_regprocedure('events_maintain(interval)'), 'EXECUTE'), false)
         AS may_maintain,
       count(*) AS present,
       count(*) FILTER (WHERE NOT owned) AS foreign_owned,
       coalesce(array_agg(name ORDER BY name) FILTER (WHERE NOT CASE
         WHEN is_sequence THEN has_sequence_privilege(oid, 'USAGE') AND has_sequence_privilege(oid, 'SELECT')
         ELSE has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
              AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE') END),
         '{}') AS lacking
FROM ours;
