#include "core/doctor/database.h"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/db/queries.h"
#include "core/db/session.h"
#include "core/db/sql_split.h"

namespace gathering::doctor {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kNamesShown = 4;
constexpr double kSeenSeconds = 15;  // ago: a daemon tells of itself every five
constexpr std::string_view kConnect = "database.connect";

std::string Some(const std::vector<std::string>& names) {
  const std::size_t shown = std::min(names.size(), kNamesShown);
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

std::string Plural(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

// How many connections the server leaves to clients of ours, by whichever bound is the nearest.
std::int64_t Room(const Server& server) {
  std::int64_t room = server.connections_max;
  for (const std::int64_t bound : {server.role_connections_max, server.database_connections_max}) {
    if (bound >= 0) room = std::min(room, bound);
  }
  return room;
}

class DatabaseLook {
 public:
  DatabaseLook(const DatabaseOptions& options, const Clock& clock, const Tell& tell)
      : options_(options), clock_(clock), tell_(tell) {}

  void Run() {
    std::string url = options_.url;
    if (url.empty()) url = LookAtEmbedded(options_.embedded, tell_);
    if (url.empty()) return;
    const Clock::Steady begin = clock_.Now();
    Connect(url);
    const Server server = One<Server>(sql::kDoctorServer);
    const auto took = std::chrono::ceil<milliseconds>(clock_.Now() - begin);
    tell_(Ok(std::string{kConnect}, fmt::format("database {} as {} over {}, in {} ms", server.database,
                                                server.role, server.address, took.count())));
    tell_(JudgeVersion(server));
    tell_(JudgeRights(server, One<Rights>(sql::kDoctorRights, Created("TABLE"), Created("SEQUENCE"))));
    tell_(JudgeConnections(server, {.of_daemon = options_.connections, .daemons = Daemons()}));
    CompareClocks();
    tell_(JudgeDurability(server));
    LookAtSchema(url);
  }

 private:
  void Connect(const std::string& url) {
    try {
      session_ = std::make_unique<db::Session>(
          db::SessionOptions{.url = url,
                             .application_name = "gathering doctor",
                             .connect_timeout = std::min(options_.connect_timeout, options_.deadline)});
    } catch (const Error& error) {
      if (error.code != Code::kUnavailable) throw;
      throw Error{Code::kUnavailable,
                  fmt::format("{}; see that it runs and lets this user in, as psql with the same URL shows",
                              error.cause)};
    }
    session_->Execute(fmt::format("SET statement_timeout = {}; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'",
                                  options_.deadline.count()));
  }

  template <class T, class... A>
  T One(const db::Query& query, const A&... values) {
    return session_->Query(query, db::ToParams(values...)).template As<T>(0);
  }

  // One at least; a schema that is behind or not ours to read has none to tell.
  std::int64_t Daemons() {
    try {
      return std::max<std::int64_t>(1, One<std::int64_t>(sql::kDoctorDaemons, kSeenSeconds));
    } catch (const db::SqlError&) {
      return 1;
    }
  }

  void CompareClocks() {
    const std::int64_t before = clock_.WallNow().micros;
    const std::int64_t theirs = One<Timestamp>(sql::kDoctorClock).micros;
    const std::int64_t half = (clock_.WallNow().micros - before + 1) / 2;
    tell_(JudgeClock(microseconds{theirs - before - half}, microseconds{half}));
  }

  void LookAtSchema(const std::string& url) {
    db::Migrator migrator{{.url = url,
                           .connect_timeout = std::min(options_.connect_timeout, options_.deadline),
                           .statement_timeout = options_.deadline},
                          clock_};
    tell_(JudgeSchema(migrator.Check(), options_.url.empty()));
  }

  const DatabaseOptions& options_;
  const Clock& clock_;
  const Tell& tell_;
  std::unique_ptr<db::Session> session_;
};

}  // namespace

Finding JudgeVersion(const Server& server) {
  constexpr std::int64_t kMajor = 10'000;
  const std::string found = fmt::format("PostgreSQL {}", server.version);
  if (server.version_number >= kServerVersionMin) return Ok("database.version", found);
  return Failed("database.version", found,
                fmt::format("upgrade it to PostgreSQL {} or newer", kServerVersionMin / kMajor));
}

Finding JudgeRights(const Server& server, const Rights& rights) {
  const std::string name = "database.rights";
  if (server.read_only) {
    return Failed(name, "the server takes no changes: it is a standby, or transactions are read only",
                  "give the URL of the primary, or unset default_transaction_read_only");
  }
  if (!rights.lacking.empty()) {
    return Failed(
        name, fmt::format("{} may not read and write {}", server.role, Some(rights.lacking)),
        fmt::format(
            "as their owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {0} "
            "TO {1}; GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA {0} TO {1}; GRANT EXECUTE ON FUNCTION "
            "{0}.events_maintain TO {1}",
            rights.schema, server.role));
  }
  const bool migrates = rights.may_create && rights.foreign_owned == 0;
  if (rights.present == 0) {
    if (migrates) return Ok(name, fmt::format("{} may make the schema in {}", server.role, rights.schema));
    return Failed(name, fmt::format("{} may not make tables in schema {}", server.role, rights.schema),
                  fmt::format("as its owner: GRANT CREATE ON SCHEMA {} TO {}", rights.schema, server.role));
  }
  const std::string uses =
      fmt::format("{} may read and write {}", server.role, Plural(rights.present, "table"));
  if (!rights.may_maintain) {
    return Warning(name, uses + ", but not have the event log's days made and dropped",
                   fmt::format("as their owner: GRANT EXECUTE ON FUNCTION {}.events_maintain TO {}",
                               rights.schema, server.role));
  }
  return Ok(name, uses + (migrates ? " and migrate" : "; another role migrates"));
}

Finding JudgeSchema(const db::SchemaCheck& check, bool upgraded_at_start) {
  const std::string name = "database.schema";
  const std::string text = Describe(check);
  if (check.standing == db::Standing::kAtHead) return Ok(name, text);
  if (check.standing == db::Standing::kPending && upgraded_at_start)
    return Ok(name, FromLine({}, Verdict::kOk, text).found + "; the next start applies them");
  return FromLine(name, Verdict::kFailed, text);
}

Finding JudgeConnections(const Server& server, const ConnectionNeed& need) {
  const std::string name = "database.connections";
  const std::int64_t room = Room(server);
  const std::int64_t ours = need.of_daemon * need.daemons;
  const std::string found = fmt::format("{} for {}; {} in use by others, room for {}", ours,
                                        Plural(need.daemons, "daemon"), server.others, room);
  const std::string remedy =
      "raise max_connections (or the role's or database's limit), or lower "
      "database.pool.connections_max";
  if (need.of_daemon > room) return Failed(name, found, remedy);
  if (ours + server.others > room) return Warning(name, found, remedy);
  return Ok(name, found);
}

Finding JudgeClock(microseconds ahead, microseconds uncertainty) {
  const std::string name = "database.clock";
  const auto sure = std::max(microseconds{std::abs(ahead.count())} - uncertainty, microseconds{0});
  const double seconds = std::chrono::duration<double>{microseconds{std::abs(ahead.count())}}.count();
  if (sure <= kClockDifferenceMax) {
    return Ok(name, fmt::format("{:.3f} s from ours, within {:.3f} s", seconds,
                                std::chrono::duration<double>{uncertainty}.count()));
  }
  return Warning(name, fmt::format("{:.1f} s {} ours", seconds, ahead.count() > 0 ? "ahead of" : "behind"),
                 "synchronise both machines' clocks: tokens and events carry times of both");
}

Finding JudgeDurability(const Server& server) {
  std::vector<std::string> off;
  if (!server.fsync) off.emplace_back("fsync");
  if (!server.full_page_writes) off.emplace_back("full_page_writes");
  if (!server.synchronous_commit) off.emplace_back("synchronous_commit");
  if (off.empty()) return Ok("database.durability", "fsync, full_page_writes and synchronous_commit are on");
  return Warning("database.durability",
                 fmt::format("off: {}; a crash loses what was acknowledged", fmt::join(off, ", ")),
                 "turn it on in postgresql.conf, and for the role and the database");
}

std::vector<std::string> Created(std::string_view kind) {
  std::vector<std::string> names;
  for (const db::Migration& migration : db::Migrations()) {
    for (const db::SqlStatement& statement : db::SplitSql(migration.up)) {
      const auto& words = statement.words;
      const auto named = std::ranges::find(words, kind);
      const bool creates = statement.StartsWith("CREATE") && named - words.begin() <= 2;
      if (creates && words.end() - named >= 2) names.push_back(Lower(*(named + 1)));
    }
  }
  return names;
}

Subject DatabaseSubject(DatabaseOptions options, const Clock& clock) {
  Subject subject;
  if (options.url.empty()) subject.checks = {"database.programs", "database.user", "database.files"};
  for (const char* name : {"connect", "version", "rights", "connections", "clock", "durability", "schema"})
    subject.checks.push_back(fmt::format("database.{}", name));
  subject.look = [options = std::move(options), &clock](const Tell& tell) {
    DatabaseLook{options, clock, tell}.Run();
  };
  return subject;
}

}  // namespace gathering::doctor
