-- The daemons on this database, each as it was seen last.  Nothing here is worth a restart of the server.
CREATE UNLOGGED TABLE instances (
  instance   uuid PRIMARY KEY,
  name       text NOT NULL,
  version    text NOT NULL,
  started_at timestamptz NOT NULL,
  seen_at    timestamptz NOT NULL DEFAULT now(),
  caches     jsonb NOT NULL
);
