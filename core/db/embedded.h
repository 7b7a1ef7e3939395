#pragma once
// A private PostgreSQL in the data directory, for those who have none.
//
//   <data_dir>/gathering.lock   locked by the owner; its pid and, for others to join, the socket directory,
//   one a line <data_dir>/postgres/        the cluster, made once (initdb) with the database `gathering`
//   <data_dir>/postgresql.conf  written anew at every start; postgresql.local.conf beside it is kept
//                               (as are pg_hba.conf and pg_ident.conf)
//   <data_dir>/postgres.log     what the server says
//   <data_dir>/run/             its unix socket, its only address.  Where this path is too long for one,
//                               a private directory under $XDG_RUNTIME_DIR or /tmp stands in
//
// One process owns the server: it starts it, starts it again when it dies, and stops it.  The kernel
// ends the server when the owner dies, and the next owner recovers what is left.  Started as root
// (PostgreSQL refuses root), the server runs as another user.  Safe to use from any thread.
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/clock.h"

namespace gathering::db {

struct EmbeddedOptions {
  std::string data_dir;
  std::string binaries_dir;  // of PostgreSQL; empty: looked for
  std::string run_as;        // only as root; empty: the cluster's owner, else `gathering`, else `postgres`
  std::uint32_t connections_max = 100;
  bool durable = true;  // false: no fsync, a crash of the machine may lose everything; for tests
};

struct EmbeddedStats {
  std::uint64_t restarts = 0;   // after the server died by itself
  std::int64_t server_pid = 0;  // 0: not running now, or another process owns it
};

class EmbeddedPostgres {
 public:
  enum class Sharing : std::uint8_t {
    kOwnerOnly,  // for who stays: refuses a data directory that another process owns, and lets others join
    kJoin,       // for who is gone soon: uses the server of one who stays (it ends with that owner), else
                 // waits for its turn and owns the server alone
  };

  // Returns when the server accepts connections.  Throws Error kUnavailable when the directory is in
  // use, PostgreSQL is not installed or does not start, kRejected when the directory cannot serve as
  // one (another version's, another user's, not to be entered); the messages say what to do.
  EmbeddedPostgres(EmbeddedOptions options, Sharing sharing, const Clock& clock);
  ~EmbeddedPostgres();  // stops
  EmbeddedPostgres(const EmbeddedPostgres&) = delete;
  EmbeddedPostgres& operator=(const EmbeddedPostgres&) = delete;

  // For libpq: the database `gathering`, as its superuser.
  [[nodiscard]] const std::string& url() const;
  [[nodiscard]] bool owner() const;
  [[nodiscard]] bool created() const;  // the cluster is new

  // Ends the owned server: its clients are cut, what is committed is on disk.  Waits up to ten seconds
  // before it uses force.  Idempotent.
  void Stop();

  [[nodiscard]] EmbeddedStats Stats() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace gathering::db
