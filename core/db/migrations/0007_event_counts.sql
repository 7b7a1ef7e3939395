-- How often what happened, by day (UTC) and circle; 0: in none.
CREATE TABLE event_counts (
  day       date NOT NULL,
  type      text NOT NULL,
  circle_id bigint NOT NULL DEFAULT 0,
  events    bigint NOT NULL CHECK (events > 0),
  PRIMARY KEY (day, type, circle_id)
);

-- As before, and a day stays until all consumers have taken it.
CREATE OR REPLACE FUNCTION events_maintain(keep interval) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  today     timestamptz := date_trunc('day', now(), 'UTC');
  taken     bigint := (SELECT min(position) FROM event_consumers);
  day       timestamptz;
  partition text;
  newest    bigint;
  forgotten integer := 0;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('gathering events_maintain')) THEN
    RETURN NULL;
  END IF;
  FOR i IN 0..2 LOOP
    day := today + make_interval(days => i);
    partition := 'events_' || to_char(day AT TIME ZONE 'UTC', 'YYYYMMDD');
    CONTINUE WHEN to_regclass(partition) IS NOT NULL
               OR EXISTS (SELECT FROM events_default
                          WHERE time >= day AND time < day + interval '1 day');
    EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', partition, day,
                   day + interval '1 day');
  END LOOP;
  FOR partition IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{8}$'
      AND to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= (now() - keep) AT TIME ZONE 'UTC'
    ORDER BY c.relname
  LOOP
    EXECUTE format('SELECT max(sequence) FROM %I', partition) INTO newest;
    CONTINUE WHEN newest > taken;
    EXECUTE format('DROP TABLE %I', partition);
    forgotten := forgotten + 1;
  END LOOP;
  DELETE FROM events_default WHERE time < now() - keep AND (taken IS NULL OR sequence <= taken);
  RETURN forgotten;
END
$$;
