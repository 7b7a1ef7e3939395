-- name: persona_list
SELECT p.id, p.display_name, p.role, p.base_prompt, p.traits, p.communication_style, p.specializations,
       p.description, p.icon, p.is_builtin, p.created_at, p.updated_at, p.languages, p.motto, p.work_ethic,
       p.collaboration_notes, p.full_prompt, p.default_model_id, m.model_alias AS default_model_alias
FROM personas p
LEFT JOIN models m ON m.id = p.default_model_id
ORDER BY p.id
LIMIT $1;

-- name: persona_by_id
SELECT p.id, p.display_name, p.role, p.base_prompt, p.traits, p.communication_style, p.specializations,
       p.description, p.icon, p.is_builtin, p.created_at, p.updated_at, p.languages, p.motto, p.work_ethic,
       p.collaboration_notes, p.full_prompt, p.default_model_id, m.model_alias AS default_model_alias
FROM personas p
LEFT JOIN models m ON m.id = p.default_model_id
WHERE p.id = $1;

-- No row when the name is taken.
-- name: persona_create
WITH created AS (
  INSERT INTO personas (display_name, role, base_prompt, full_prompt, traits, communication_style,
                        specializations, languages, motto, description, default_model_id)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
  ON CONFLICT (display_name) DO NOTHING
  RETURNING *
)
SELECT p.id, p.display_name, p.role, p.base_prompt, p.traits, p.communication_style, p.specializations,
       p.description, p.icon, p.is_builtin, p.created_at, p.updated_at, p.languages, p.motto, p.work_ethic,
       p.collaboration_notes, p.full_prompt, p.default_model_id, m.model_alias AS default_model_alias
FROM created p
LEFT JOIN models m ON m.id = p.default_model_id;

-- name: persona_change
WITH changed AS (
  UPDATE personas
  SET display_name = coalesce($2, display_name),
      role = coalesce($3, role),
      base_prompt = coalesce($4, base_prompt),
      full_prompt = coalesce($5, full_prompt),
      traits = coalesce($6, traits),
      communication_style = coalesce($7, communication_style),
      specializations = coalesce($8, specializations),
      languages = coalesce($9, languages),
      motto = coalesce($10, motto),
      description = coalesce($11, description),
      default_model_id = coalesce($12, default_model_id),
      updated_at = now()
  WHERE id = $1
  RETURNING *
)
SELECT p.id, p.display_name, p.role, p.base_prompt, p.traits, p.communication_style, p.specializations,
       p.description, p.icon, p.is_builtin, p.created_at, p.updated_at, p.languages, p.motto, p.work_ethic,
       p.collaboration_notes, p.full_prompt, p.default_model_id, m.model_alias AS default_model_alias
FROM changed p
LEFT JOIN models m ON m.id = p.default_model_id;

-- Deletes unless built-in; says whether it was, and nothing when there was none.
-- name: persona_delete
WITH target AS (
  SELECT id, is_builtin FROM personas WHERE id = $1
), gone AS (
  DELETE FROM personas WHERE id IN (SELECT id FROM target WHERE NOT is_builtin)
)
SELECT is_builtin FROM target;
