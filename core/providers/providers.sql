-- name: provider_list
SELECT p.id, p.name, p.api_base_url, p.is_local, p.created_at, p.api_type,
       (SELECT count(*) FROM models m WHERE m.provider_id = p.id) AS model_count
FROM providers p
ORDER BY p.id
LIMIT $1;

-- name: provider_by_id
SELECT p.id, p.name, p.api_base_url, p.is_local, p.created_at, p.api_type,
       (SELECT count(*) FROM models m WHERE m.provider_id = p.id) AS model_count
FROM providers p
WHERE p.id = $1;

-- name: provider_create
INSERT INTO providers (name, api_base_url, is_local)
VALUES (lower($1), $2, $3)
ON CONFLICT (name) DO NOTHING
RETURNING id, name, api_base_url, is_local, created_at, api_type, 0::bigint AS model_count;

-- name: provider_delete
DELETE FROM providers WHERE id = $1;
