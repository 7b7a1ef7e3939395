DROP TABLE event_counts;

-- Prepares the days to come and forgets what is older than `keep`.  Says how many days were forgotten; null
-- when somebody else is at it.
CREATE OR REPLACE FUNCTION events_maintain(keep interval) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  today     timestamptz := date_trunc('day', now(), 'UTC');
  day       timestamptz;
  partition text;
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
    EXECUTE format('DROP TABLE %I', partition);
    forgotten := forgotten + 1;
  END LOOP;
  DELETE FROM events_default WHERE time < now() - keep;
  RETURN forgotten;
END
$$;
