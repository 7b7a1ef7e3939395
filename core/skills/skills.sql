-- name: agent_skills_of
SELECT a.id AS agent_id, mine.configured_skills, mine.loaded_skills, mine.failed_skills,
       mine.skill_details,
       (SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM skills WHERE is_enabled)
         AS available_skills,
       mine.tools_count
FROM agents a
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(s.name ORDER BY g.position), '{}') AS configured_skills,
         coalesce(array_agg(s.name ORDER BY g.position) FILTER (WHERE s.is_enabled), '{}') AS loaded_skills,
         coalesce(array_agg(s.name ORDER BY g.position) FILTER (WHERE NOT s.is_enabled), '{}')
           AS failed_skills,
         coalesce(json_agg(json_build_object('name', s.name, 'description', s.description,
                                             'version', s.version, 'tools_count', s.tools_count,
                                             'tools', '[]'::json) ORDER BY g.position)
                  FILTER (WHERE s.is_enabled), '[]') AS skill_details,
         coalesce(sum(s.tools_count) FILTER (WHERE s.is_enabled), 0) AS tools_count
  FROM agent_skills g
  JOIN skills s ON s.id = g.skill_id
  WHERE g.agent_id = a.id
) mine
WHERE a.id = $1;

-- Changes of one agent's skills happen one after the other.
-- name: agent_skills_lock
SELECT id FROM agents WHERE id = $1 FOR NO KEY UPDATE;

-- The first name that is not in the catalogue.
-- name: skill_unknown
SELECT given.name
FROM unnest($1::text[]) WITH ORDINALITY AS given (name, place)
WHERE NOT EXISTS (SELECT FROM skills s WHERE s.name = given.name)
ORDER BY given.place
LIMIT 1;

-- name: skill_names
SELECT name FROM skills WHERE is_enabled ORDER BY name;

-- name: agent_skills_set
WITH wanted AS (
  SELECT s.id, min(given.place) AS position
  FROM unnest($2::text[]) WITH ORDINALITY AS given (name, place)
  JOIN skills s ON s.name = given.name
  GROUP BY s.id
), gone AS (
  DELETE FROM agent_skills WHERE agent_id = $1 AND skill_id NOT IN (SELECT id FROM wanted)
)
INSERT INTO agent_skills (agent_id, skill_id, position)
SELECT $1, id, position FROM wanted
ON CONFLICT (agent_id, skill_id) DO UPDATE SET position = excluded.position;

-- name: agent_skills_add
INSERT INTO agent_skills (agent_id, skill_id, position)
SELECT $1, s.id, (SELECT coalesce(max(position), 0) + 1 FROM agent_skills WHERE agent_id = $1)
FROM skills s
WHERE s.name = $2
ON CONFLICT (agent_id, skill_id) DO NOTHING;

-- name: agent_skills_remove
DELETE FROM agent_skills
WHERE agent_id = $1 AND skill_id = (SELECT id FROM skills WHERE name = $2);
