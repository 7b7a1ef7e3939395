-- name: agent_list
SELECT a.id, a.name, a.role, a.provider_name AS provider, a.model_name AS model, a.status,
       CASE WHEN a.competencies = '{}' THEN a.specializations ELSE a.competencies END AS competencies,
       a.can_review, coalesce(a.current_task_title, '') AS current_task, a.created_at,
       coalesce(a.last_active_at, a.created_at) AS last_activity
FROM agents a
ORDER BY a.id
LIMIT $1;

-- name: agent_whole
-- Plain columns: what follows from them is worked out by the program, where it costs a tenth.
SELECT a.id, a.name, a.role, a.provider_name, a.model_name, a.status, a.competencies, a.specializations,
       a.can_review, a.current_task_id, a.current_task_title, a.current_task_progress, a.created_at,
       a.last_active_at, now() AS now, a.traits, a.communication_style, a.languages, a.base_prompt, a.motto,
       a.max_tokens, a.temperature, a.model_id, a.persona_id, a.pending_actions,
       ARRAY(SELECT f.path FROM agent_working_files f WHERE f.agent_id = a.id
             ORDER BY f.touched_at, f.path) AS working_files,
       ARRAY(SELECT x.name || ' ' || x.tools_count
             FROM agent_skills g JOIN skills x ON x.id = g.skill_id AND x.is_enabled
             WHERE g.agent_id = a.id
             ORDER BY g.position) AS skills
FROM agents a
WHERE a.id = $1;

-- Nobody scores results, and neither memories nor messages are kept yet.
-- name: agent_rows (slow)
SELECT a.id, a.name, a.role, a.provider_name AS provider, coalesce(m.model_alias, a.model_name) AS model,
       a.status, true AS is_active, work.tasks_completed, work.reviews_done, work.approval_rate,
       0.0::float8 AS average_quality_score, a.last_active_at, a.name AS persona_name, a.role AS persona_role,
       0::bigint AS memory_count, 0::bigint AS message_count, work.circle_count,
       CASE WHEN a.competencies = '{}' THEN a.specializations ELSE a.competencies END AS competencies,
       a.can_review, a.current_task_title AS current_task
FROM agents a
LEFT JOIN models m ON m.id = a.model_id
CROSS JOIN LATERAL (
  SELECT coalesce(sum(w.tasks_completed), 0) AS tasks_completed,
         coalesce(sum(w.reviews_done), 0) AS reviews_done,
         coalesce(sum(w.results_passed)::float8 / nullif(sum(w.results_passed + w.results_refused), 0), 0)
           AS approval_rate,
         count(*) FILTER (WHERE w.left_at IS NULL AND c.deleted_at IS NULL) AS circle_count
  FROM circle_members w
  JOIN circles c ON c.id = w.circle_id
  WHERE w.agent_ref = a.id
) work
ORDER BY a.id
LIMIT $1;

-- name: agent_record
SELECT a.id, a.name, a.role, a.provider_name AS provider, coalesce(m.model_alias, a.model_name) AS model,
       a.model_id, a.model_name, m.model_alias, a.provider_name, a.persona_id, a.name AS persona_name,
       a.role AS persona_role, a.base_prompt AS system_prompt, a.traits, a.communication_style,
       a.specializations, a.languages, a.motto, a.temperature, a.max_tokens,
       CASE WHEN a.competencies = '{}' THEN a.specializations ELSE a.competencies END AS competencies,
       a.can_review, a.review_strictness, a.current_task_title AS current_task, work.tasks_completed,
       work.reviews_done, work.approval_rate, 0.0::float8 AS average_quality_score, true AS is_active,
       a.status,
       a.last_active_at, a.created_at, a.updated_at, m.context_window, m.extended_thinking, m.vision,
       m.pricing_in::text, m.pricing_out::text, 0::bigint AS memory_count, 0::bigint AS message_count,
       work.circle_count
FROM agents a
LEFT JOIN models m ON m.id = a.model_id
CROSS JOIN LATERAL (
  SELECT coalesce(sum(w.tasks_completed), 0) AS tasks_completed,
         coalesce(sum(w.reviews_done), 0) AS reviews_done,
         coalesce(sum(w.results_passed)::float8 / nullif(sum(w.results_passed + w.results_refused), 0), 0)
           AS approval_rate,
         count(*) FILTER (WHERE w.left_at IS NULL AND c.deleted_at IS NULL) AS circle_count
  FROM circle_members w
  JOIN circles c ON c.id = w.circle_id
  WHERE w.agent_ref = a.id
) work
WHERE a.id = $1;

-- name: agent_create
WITH created AS (
  INSERT INTO agents (name, role, base_prompt, traits, communication_style, specializations, languages, motto,
                      provider_name, model_name, model_id, persona_id, max_tokens, temperature, competencies,
                      can_review)
  SELECT $1, $2, $3, $4::text[], $5, $6::text[], $7::text[], $8, $9, $10,
         (SELECT m.id FROM models m JOIN providers p ON p.id = m.provider_id
          WHERE p.name = lower($9) AND m.model_name = $10),
         $11::bigint, $12::bigint, $13::float8, $14::text[], $15::text[]
  RETURNING id, name
), told AS (
  INSERT INTO events (type, source_agent_id, data)
  SELECT 'agent.created', id, jsonb_build_object('agent_id', id, 'agent_name', name) FROM created
)
SELECT id FROM created;

-- Holds the agent for the rest of the transaction.
-- name: agent_lock
SELECT id, persona_id FROM agents WHERE id = $1 FOR NO KEY UPDATE;

-- name: agent_set_persona
UPDATE agents
SET name = $2, role = $3, base_prompt = $4, traits = $5::text[], communication_style = $6,
    specializations = $7::text[], languages = $8::text[], motto = $9, updated_at = now()
WHERE id = $1;

-- name: agent_set_config
UPDATE agents
SET provider_name = $2, model_name = $3,
    model_id = (SELECT m.id FROM models m JOIN providers p ON p.id = m.provider_id
                WHERE p.name = lower($2) AND m.model_name = $3),
    persona_id = coalesce($4::bigint, persona_id), max_tokens = $5::bigint, temperature = $6::float8,
    competencies = $7::text[], can_review = $8::text[], updated_at = now()
WHERE id = $1;

-- In the order in which everybody takes the circles' locks.
-- name: agent_circles
SELECT c.name
FROM circle_members w
JOIN circles c ON c.id = w.circle_id
WHERE w.agent_ref = $1 AND w.left_at IS NULL AND c.deleted_at IS NULL
ORDER BY c.id;

-- name: agent_updated
INSERT INTO events (type, source_agent_id, data)
SELECT 'agent.updated', id, jsonb_build_object('agent_id', id, 'agent_name', name) FROM agents WHERE id = $1;

-- name: agent_delete
WITH deleted AS (
  DELETE FROM agents WHERE id = $1 RETURNING id, name
)
INSERT INTO events (type, source_agent_id, data)
SELECT 'agent.deleted', id, jsonb_build_object('agent_id', id, 'agent_name', name) FROM deleted;

-- The files beyond the newest are forgotten; the new one is not among those counted.
-- name: agent_track_file
WITH active AS (
  UPDATE agents SET last_active_at = now(), updated_at = now() WHERE id = $1
), forgotten AS (
  DELETE FROM agent_working_files
  WHERE agent_id = $1 AND path IN (SELECT path FROM agent_working_files
                                   WHERE agent_id = $1 AND path <> $2
                                   ORDER BY touched_at DESC, path OFFSET $3::bigint - 1)
)
INSERT INTO agent_working_files (agent_id, path, touched_at)
VALUES ($1, $2, clock_timestamp())
ON CONFLICT (agent_id, path) DO UPDATE SET touched_at = excluded.touched_at;

-- name: agent_set_task
UPDATE agents
SET current_task_id = $2, current_task_title = $3, current_task_progress = $4, last_active_at = now(),
    updated_at = now()
WHERE id = $1;

-- name: agent_clear_task
UPDATE agents
SET current_task_id = NULL, current_task_title = NULL, current_task_progress = NULL, last_active_at = now(),
    updated_at = now()
WHERE id = $1;
