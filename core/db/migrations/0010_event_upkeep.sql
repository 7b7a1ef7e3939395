-- The days of the log are tables, made and dropped by who owns it; this lets every daemon ask for that
-- whose role may call the function, and make no table itself.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION events_maintain(interval) SECURITY DEFINER SET search_path = %I, pg_temp',
                 current_schema());
END
$$;
REVOKE EXECUTE ON FUNCTION events_maintain(interval) FROM PUBLIC;
