#pragma once
// The schema's history: numbered SQL files, embedded in the binary at build time,
// and the engine that brings a database to one of its numbers and proves that it is there.
//
// A file runs in one transaction together with its row in the ledger table
// `gathering_migrations`: all of it happens or nothing.  A file whose first line is
// "-- no-transaction" (CREATE INDEX CONCURRENTLY needs that) runs statement by statement,
// each with its progress mark; interrupted, it goes on at the statement where it ended.
// What files may not do: end or begin transactions, COPY FROM STDIN, psql commands, and name
// a schema (everything is made in the one the connection creates in).
//
// One runner works at a time: it holds a session advisory lock, taken by polling.  A blocking
// wait for that lock and CREATE INDEX CONCURRENTLY in its holder would wait for each other.
// Every operation opens a connection of its own, outside any pool, and closes it before it
// returns; it must lead to the server itself, not through a pooler of transactions.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/timestamp.h"
#include "core/schema/fields.h"

namespace gathering::db {

// One step of the schema.  `up` and `down` are the files' texts as they are; `sha256` is the
// hexadecimal digest of `up`, by which a changed file is noticed.
struct Migration {
  std::uint32_t number = 0;  // 1, 2, 3, … without gaps
  std::string_view name;
  std::string_view up;
  std::string_view down;
  std::string_view sha256;
  bool transactional = true;  // false when the first line of `up` is "-- no-transaction"
};

// Every migration of the binary, in order.
[[nodiscard]] std::span<const Migration> Migrations();

// How a number stands between the binary and the database.
enum class MigrationState : std::uint8_t {
  kApplied,
  kPending,
  kChanged,     // applied, but from a file with another digest
  kIncomplete,  // a "-- no-transaction" file was interrupted; `up` goes on with it
  kReverting,   // the same on the way down; `down` goes on with it
  kUnknown,     // applied by a newer binary: this one has no such number
};

struct MigrationStatus {
  std::int64_t number = 0;
  std::string name;
  MigrationState state = MigrationState::kPending;
  std::string sha256;                         // of the binary's file; empty with kUnknown
  std::optional<std::string> applied_sha256;  // this and the rest: absent with kPending
  std::optional<Timestamp> applied_at;
  std::optional<std::int64_t> duration_ms;

  static void Fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("name", self.name);
    visit("state", self.state);
    visit("sha256", self.sha256);
    visit("applied_sha256", self.applied_sha256);
    visit("applied_at", self.applied_at);
    visit("duration_ms", self.duration_ms);
  }
};

enum class Standing : std::uint8_t { kAtHead, kPending, kChecksumDiffers, kNewerThanBinary };

// Where a database stands.  When several things are true, the last of Standing's order is said.
struct SchemaCheck {
  Standing standing = Standing::kAtHead;
  std::int64_t binary = 0;                 // the binary's highest number
  std::int64_t database = 0;               // the highest applied number; 0: none
  std::vector<std::int64_t> pending = {};  // incomplete and reverting ones included
  std::vector<std::int64_t> changed = {};
  std::vector<std::int64_t> unknown = {};

  static void Fields(auto& self, auto& visit) {
    visit("standing", self.standing);
    visit("binary", self.binary);
    visit("database", self.database);
    visit("pending", self.pending);
    visit("changed", self.changed);
    visit("unknown", self.unknown);
  }
};

// One sentence for an operator: what is the matter and what to do.
[[nodiscard]] std::string Describe(const SchemaCheck& check);

enum class Direction : std::uint8_t { kUp, kDown, kBaseline };

// One file that was run (or, for a baseline, recorded).
struct MigrationStep {
  std::int64_t number = 0;
  std::string name = {};
  Direction direction = Direction::kUp;
  std::int64_t statements = 0;
  std::int64_t duration_ms = 0;

  static void Fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("name", self.name);
    visit("direction", self.direction);
    visit("statements", self.statements);
    visit("duration_ms", self.duration_ms);
  }
};

// A lock on a relation, in PostgreSQL's spelling: "AccessExclusiveLock".
struct LockTaken {
  std::string relation;
  std::string mode;
  bool created_here = false;  // made by the dry run itself, so nobody else could wait for it

  static void Fields(auto& self, auto& visit) {
    visit("relation", self.relation);
    visit("mode", self.mode);
    visit("created_here", self.created_here);
  }
};

struct DryRunStatement {
  std::int64_t line = 0;  // of the file, from 1
  std::string text;
  std::int64_t duration_ms = 0;
  std::vector<LockTaken> locks = {};        // those the transaction did not hold before
  std::vector<std::string> rewritten = {};  // relations whose rows were all written anew

  static void Fields(auto& self, auto& visit) {
    visit("line", self.line);
    visit("text", self.text);
    visit("duration_ms", self.duration_ms);
    visit("locks", self.locks);
    visit("rewritten", self.rewritten);
  }
};

struct DryRunFile {
  std::int64_t number = 0;
  std::string name;
  bool runnable = true;  // false: "-- no-transaction", cannot be undone and was not run
  std::vector<DryRunStatement> statements = {};

  static void Fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("name", self.name);
    visit("runnable", self.runnable);
    visit("statements", self.statements);
  }
};

// What a run tells while it works.  Texts live only during the call.
struct MigrationEvent {
  enum class Kind : std::uint8_t {
    kWaitingForDatabase,  // `text` says why
    kWaitingForLock,      // `text` says who holds it
    kBegin,               // a file
    kStatement,           // number `statement` of `statements` is done
    kNotice,              // `text` came from the server
    kDone,                // a file
  };
  Kind kind = Kind::kBegin;
  Direction direction = Direction::kUp;
  std::uint32_t number = 0;
  std::string_view name = {};
  std::size_t statement = 0;
  std::size_t statements = 0;
  std::string_view text = {};
  std::chrono::milliseconds duration{0};
};

// Another runner held the lock for all of `lock_wait`.
class LockBusy : public Error {
 public:
  using Error::Error;
};

// Where the database stands forbids the operation; the message is Describe's.
class WrongStanding : public Error {
 public:
  explicit WrongStanding(SchemaCheck check_in)
      : Error(Code::kRejected, Describe(check_in)), check(std::move(check_in)) {}

  SchemaCheck check;
};

struct MigratorOptions {
  std::string url;
  std::span<const Migration> migrations = Migrations();
  std::string schema =
      {};  // of the ledger and of everything the files make; empty: where the connection creates
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::milliseconds database_wait{0};     // for a server that does not answer yet
  std::chrono::milliseconds lock_wait{30'000};    // for another runner
  std::chrono::milliseconds lock_timeout{5'000};  // of each statement, for locks on tables; 0: for ever
  std::chrono::milliseconds statement_timeout{0};
  // Both are watched and may be set by a signal handler.  `stop` ends a run between two files (and
  // every wait); `cancel` also cancels the running statement, whose file is then rolled back.
  const std::atomic<bool>* stop = nullptr;
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(const MigrationEvent&)> on_event = {};
};

// Every operation throws Error: kUnavailable when the server cannot be reached, LockBusy, kTimeout
// for a lock or statement timeout, kRejected when the state of the database forbids the operation
// (WrongStanding: it is newer than the binary, or its files had another text),
// kInvalid for a number that does not exist or a file that may not run, kInDoubt when a COMMIT's
// answer was lost.  Not thread-safe; several Migrators, in any processes, are safe.
class Migrator {
 public:
  Migrator(MigratorOptions options, const Clock& clock);

  // These only read, take no lock and never wait for a runner.
  [[nodiscard]] std::vector<MigrationStatus> Status();
  [[nodiscard]] SchemaCheck Check();
  void RequireCurrent();  // throws WrongStanding unless at head

  // Looks again and again until the schema is at head, something other than time is needed, `stop`
  // is set, or `wait` is over; tells how it stands then.  Survives restarts of the server.
  [[nodiscard]] SchemaCheck AwaitHead(std::chrono::milliseconds wait);

  // Runs what is pending, up to and including `number`.  Returns the files that ran; empty when
  // there was nothing to do.  Ends early, without an exception, when `stop` is set.
  std::vector<MigrationStep> Up();
  std::vector<MigrationStep> UpTo(std::uint32_t number);

  // Takes back the newest `count` files, or all above `number`.
  std::vector<MigrationStep> Down(std::uint32_t count);
  std::vector<MigrationStep> DownTo(std::uint32_t number);

  // Takes the newest file back and runs it again, by the binary's present text.
  std::vector<MigrationStep> Redo();

  // Records 1 to `number` as applied without running them.  Only for an empty ledger.
  std::vector<MigrationStep> Baseline(std::uint32_t number);

  // Runs what is pending (up to `number`) in one transaction, rolls it back, and tells each
  // statement with the locks it took.  The locks are really held meanwhile.
  [[nodiscard]] std::vector<DryRunFile> DryRun(std::optional<std::uint32_t> number = {});

  // Builds the applied files' schema beside the live one, in a transaction that is rolled back,
  // and tells how the live one differs, one line each.  Owners, privileges, comments and the
  // order of columns are not compared.
  [[nodiscard]] std::vector<std::string> Verify();

 private:
  MigratorOptions options_;
  const Clock& clock_;
};

}  // namespace gathering::db

template <>
struct gathering::schema::Names<gathering::db::MigrationState> {
  static constexpr std::string_view kTexts[] = {"applied",    "pending",   "changed",
                                                "incomplete", "reverting", "unknown"};
};
template <>
struct gathering::schema::Names<gathering::db::Standing> {
  static constexpr std::string_view kTexts[] = {"at_head", "pending", "checksum_differs",
                                                "newer_than_binary"};
};
template <>
struct gathering::schema::Names<gathering::db::Direction> {
  static constexpr std::string_view kTexts[] = {"up", "down", "baseline"};
};
