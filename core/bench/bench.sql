-- What `gathering bench-db` works on: a schema of its own with the shapes of the daemon's tables.

-- script: bench_schema
CREATE SCHEMA gathering_bench;
COMMENT ON SCHEMA gathering_bench IS 'made by gathering bench-db, which removes it';
CREATE TABLE gathering_bench.providers (
  id bigint PRIMARY KEY,
  name text NOT NULL UNIQUE
);
CREATE TABLE gathering_bench.models (
  id bigint PRIMARY KEY,
  provider_id bigint NOT NULL REFERENCES gathering_bench.providers,
  name text NOT NULL
);
CREATE TABLE gathering_bench.agents (
  id bigint PRIMARY KEY,
  model_id bigint NOT NULL REFERENCES gathering_bench.models,
  name text NOT NULL,
  role text NOT NULL,
  description text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE gathering_bench.circles (
  id bigint PRIMARY KEY,
  name text NOT NULL UNIQUE
);
CREATE TABLE gathering_bench.members (
  circle_id bigint NOT NULL REFERENCES gathering_bench.circles,
  agent_id bigint NOT NULL REFERENCES gathering_bench.agents,
  position bigint NOT NULL,
  PRIMARY KEY (circle_id, agent_id)
);
CREATE TABLE gathering_bench.tasks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  circle_id bigint NOT NULL REFERENCES gathering_bench.circles,
  title text NOT NULL,
  description text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'in_progress', 'completed')),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON gathering_bench.tasks (circle_id, status);

-- script: bench_analyze
ANALYZE gathering_bench.providers, gathering_bench.models, gathering_bench.agents, gathering_bench.circles,
        gathering_bench.members;

-- script: bench_remove
DROP SCHEMA gathering_bench CASCADE;

-- name: bench_seed_catalog
WITH providers AS (
  INSERT INTO gathering_bench.providers (id, name)
  SELECT n, 'provider ' || n FROM generate_series(1, 4) n
  RETURNING id
)
INSERT INTO gathering_bench.models (id, provider_id, name)
SELECT (p.id - 1) * 4 + n, p.id, 'model ' || n FROM providers p CROSS JOIN generate_series(1, 4) n;

-- $1 circles of $2 agents each; $3 seeds what is drawn.
-- name: bench_seed_circles
WITH drawn AS (
  SELECT (c - 1) * $2::bigint + m AS agent, c AS circle, m AS position,
         md5($3::bigint || ' ' || c || ' ' || m) AS word
  FROM generate_series(1, $1::bigint) c CROSS JOIN generate_series(1, $2::bigint) m
), circles AS (
  INSERT INTO gathering_bench.circles (id, name)
  SELECT c, 'circle ' || c FROM generate_series(1, $1::bigint) c
), agents AS (
  INSERT INTO gathering_bench.agents (id, model_id, name, role, description)
  SELECT agent, 1 + ('x' || left(word, 1))::bit(4)::int, 'agent ' || agent, left(word, 12), repeat(word, 8)
  FROM drawn
)
INSERT INTO gathering_bench.members (circle_id, agent_id, position)
SELECT circle, agent, position FROM drawn;

-- name: bench_agent
SELECT a.id, a.name, a.role, a.description, m.name AS model, p.name AS provider, a.created_at
FROM gathering_bench.agents a
JOIN gathering_bench.models m ON m.id = a.model_id
JOIN gathering_bench.providers p ON p.id = m.provider_id
WHERE a.id = $1;

-- name: bench_member_ids
SELECT agent_id FROM gathering_bench.members WHERE circle_id = $1 ORDER BY position;

-- name: bench_members_join
SELECT a.id, a.name, a.role, a.description, m.name AS model, p.name AS provider, a.created_at
FROM gathering_bench.members r
JOIN gathering_bench.agents a ON a.id = r.agent_id
JOIN gathering_bench.models m ON m.id = a.model_id
JOIN gathering_bench.providers p ON p.id = m.provider_id
WHERE r.circle_id = $1
ORDER BY r.position;

-- name: bench_members_json
SELECT coalesce(json_agg(json_build_object('id', a.id, 'name', a.name, 'role', a.role,
                                           'description', a.description, 'model', m.name,
                                           'provider', p.name, 'created_at', a.created_at)
                         ORDER BY r.position), '[]')::text AS members
FROM gathering_bench.members r
JOIN gathering_bench.agents a ON a.id = r.agent_id
JOIN gathering_bench.models m ON m.id = a.model_id
JOIN gathering_bench.providers p ON p.id = m.provider_id
WHERE r.circle_id = $1;

-- name: bench_task_add
INSERT INTO gathering_bench.tasks (circle_id, title, description)
VALUES ($1, $2, $3)
RETURNING id;

-- name: bench_tasks_add
INSERT INTO gathering_bench.tasks (circle_id, title, description)
SELECT $1, $2 || ' ' || n, $3 FROM generate_series(1, $4::bigint) n
RETURNING id;

-- What stands in the way of a run, and what it is measured on.
-- name: bench_place
SELECT (SELECT count(*)
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'gathering_bench'
          AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%') AS user_tables,
       current_database()::text AS database,
       to_regnamespace('gathering_bench') IS NOT NULL AS exists,
       obj_description(to_regnamespace('gathering_bench')::oid, 'pg_namespace')
         IS NOT DISTINCT FROM 'made by gathering bench-db, which removes it' AS ours;

-- name: bench_environment
SELECT current_setting('server_version') AS server_version,
       current_setting('fsync')::boolean AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('full_page_writes')::boolean AS full_page_writes,
       current_setting('shared_buffers') AS shared_buffers,
       current_setting('work_mem') AS work_mem,
       current_setting('max_connections')::bigint AS max_connections,
       coalesce(host(inet_server_addr()), 'unix socket') AS server_address,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls;
