-- name: model_list
SELECT m.id, m.provider_id, m.model_name, m.model_alias, m.pricing_in::text, m.pricing_out::text,
       m.pricing_cache_read::text, m.pricing_cache_write::text, m.extended_thinking, m.vision,
       m.function_calling, m.streaming, m.context_window, m.max_output, m.release_date, m.is_deprecated,
       m.created_at, m.updated_at, p.name AS provider_name
FROM models m
JOIN providers p ON p.id = m.provider_id
WHERE ($1::bigint IS NULL OR m.provider_id = $1) AND ($2::boolean OR NOT m.is_deprecated)
ORDER BY p.name, m.model_name
LIMIT $3;

-- name: model_by_id
SELECT m.id, m.provider_id, m.model_name, m.model_alias, m.pricing_in::text, m.pricing_out::text,
       m.pricing_cache_read::text, m.pricing_cache_write::text, m.extended_thinking, m.vision,
       m.function_calling, m.streaming, m.context_window, m.max_output, m.release_date, m.is_deprecated,
       m.created_at, m.updated_at, p.name AS provider_name
FROM models m
JOIN providers p ON p.id = m.provider_id
WHERE m.id = $1;

-- No row when the provider does not exist or has a model of this name.
-- name: model_create
WITH provider AS (
  SELECT id, name FROM providers WHERE id = $1
), created AS (
  INSERT INTO models (provider_id, model_name, model_alias, pricing_in, pricing_out, pricing_cache_read,
                      pricing_cache_write, extended_thinking, vision, function_calling, streaming,
                      context_window, max_output, release_date, is_deprecated)
  SELECT id, $2, $3, $4::numeric, $5::numeric, $6::numeric, $7::numeric, $8::boolean, $9::boolean,
         $10::boolean, $11::boolean, $12::bigint, $13::bigint, $14::date, $15::boolean
  FROM provider
  ON CONFLICT (provider_id, model_name) DO NOTHING
  RETURNING *
)
SELECT m.id, m.provider_id, m.model_name, m.model_alias, m.pricing_in::text, m.pricing_out::text,
       m.pricing_cache_read::text, m.pricing_cache_write::text, m.extended_thinking, m.vision,
       m.function_calling, m.streaming, m.context_window, m.max_output, m.release_date, m.is_deprecated,
       m.created_at, m.updated_at, p.name AS provider_name
FROM created m
JOIN provider p ON p.id = m.provider_id;

-- name: model_change
WITH changed AS (
  UPDATE models
  SET model_alias = coalesce($2, model_alias),
      pricing_in = coalesce($3::numeric, pricing_in),
      pricing_out = coalesce($4::numeric, pricing_out),
      is_deprecated = coalesce($5::boolean, is_deprecated),
      updated_at = now()
  WHERE id = $1
  RETURNING *
)
SELECT m.id, m.provider_id, m.model_name, m.model_alias, m.pricing_in::text, m.pricing_out::text,
       m.pricing_cache_read::text, m.pricing_cache_write::text, m.extended_thinking, m.vision,
       m.function_calling, m.streaming, m.context_window, m.max_output, m.release_date, m.is_deprecated,
       m.created_at, m.updated_at, p.name AS provider_name
FROM changed m
JOIN providers p ON p.id = m.provider_id;

-- name: model_delete
DELETE FROM models WHERE id = $1;
