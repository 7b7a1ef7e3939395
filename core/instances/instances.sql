-- name: instance_tell
INSERT INTO instances (instance, name, version, started_at, caches) VALUES ($1, $2, $3, $4, $5::jsonb)
ON CONFLICT (instance) DO UPDATE SET seen_at = now(), caches = excluded.caches;

-- name: instance_forget
-- Those who ended without a word.
DELETE FROM instances WHERE seen_at < now() - make_interval(secs => $1);

-- name: instance_leave
DELETE FROM instances WHERE instance = $1;

-- name: instances_seen
SELECT instance, name, version, started_at,
       greatest(0, (extract(epoch FROM now() - seen_at) * 1000)::bigint) AS age_ms, caches
FROM instances
WHERE seen_at > now() - make_interval(secs => $1)
ORDER BY name, instance
LIMIT $2;
