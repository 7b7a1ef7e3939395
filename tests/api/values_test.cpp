// Every operation of the daemon's own document, asked with random values: what it is answered is what the
// document says, nothing of what is inside comes out, and who is refused has changed nothing.
//
// GATHERING_SEED repeats a run; a failure names it.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/auth/token.h"
#include "core/base/clock.h"
#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/json_schema.h"
#include "tests/support/postgres.h"
#include "tests/support/random_requests.h"

namespace gathering::test {
namespace {

using nlohmann::json;

constexpr std::string_view kSecret = "a-secret-key-for-random-values-0123456789";
constexpr std::size_t kThreads = 3;
constexpr std::size_t kTrials = 13'500;  // and those that are refused once more
constexpr std::size_t kRequestsMin = 20'000;
constexpr std::size_t kBatch = 1'500;
constexpr std::size_t kFailuresShown = 12;
constexpr std::string_view kKept = "kept";  // the circle that stays

std::string TokenOf(const std::string& user_id, const std::string& role) {
  static std::atomic<int> next{0};
  const auth::TokenKey key{std::string{kSecret}};
  const Timestamp now = SystemClock{}.WallNow();
  return key.Sign({.sub = user_id,
                   .email = "somebody@example.com",
                   .role = role,
                   .jti = fmt::format("values-{}", next++),
                   .issued_at = now,
                   .expires_at = {now.micros + 3'600'000'000}});
}

// Names and numbers of what there is.
std::optional<json> Hint(const Operation& operation, const std::string& name, Dice& dice) {
  const bool ends = operation.id == "circles.stop" ||
                    (operation.method == "DELETE" && operation.id != "circles.agents.remove");
  const auto starts = [&](std::string_view noun) { return operation.id.starts_with(noun); };
  if (name == "name" && operation.path.starts_with("/circles/")) {
    if (!ends && dice.Percent(60)) return json(kKept);
    return json(fmt::format("c{}", dice.Below(8)));
  }
  if (name == "name" && operation.id == "circles.create") return json(fmt::format("c{}", dice.Below(20)));
  if (starts("auth.login")) {
    if (name == "email" || name == "username") return json("user@example.com");
    if (name == "password") return json(dice.Percent(60) ? "a-long-password" : "another-password");
  }
  if (name == "skill_name" || name == "[]")
    return json(dice.Pick(std::vector<std::string>{"file_system", "git", "web_search", "code_review"}));
  if (name == "provider_id") return dice.Between(1, ends ? 40 : 6);
  if (name == "circle_id") return dice.Between(1, 9);
  if (name == "model_id" || name == "default_model_id") return dice.Between(ends ? 15 : 1, ends ? 60 : 18);
  if (name == "persona_id") return dice.Between(ends ? 7 : 1, ends ? 60 : 6);
  if (name == "reviewer_id" || name == "assigned_agent_id") return dice.Between(1, 5);
  if (name == "agent_id" && starts("circles.agents."))
    return dice.Between(operation.method == "DELETE" ? 6 : 1, 12);  // the first five stay
  if (name == "agent_id" || name == "agent") return dice.Between(ends ? 20 : 1, ends ? 60 : 19);
  if (name == "task_id") return dice.Between(1, 60);
  if (name == "from" || name == "to") return json(fmt::format("2026-11-{:02}", dice.Between(1, 28)));
  return std::nullopt;
}

// A daemon with something of everything.
class World {
 public:
  World() {
    admin_.Use(admin_token_);
    for (int i = 1; i <= 30; ++i)
      Must(admin_.Post("/agents", {{"persona", {{"name", fmt::format("a{}", i)}, {"role", "Developer"}}}}));
    for (int i = 0; i < 8; ++i) Must(admin_.Post("/circles", {{"name", fmt::format("c{}", i)}}));
    Must(admin_.Post("/circles", {{"name", kKept}, {"max_concurrent_tasks", 1'000}}));
    Must(admin_.Post("/circles/kept/start"));
    for (int i = 1; i <= 5; ++i) {
      Must(
          admin_.Post(fmt::format("/circles/kept/agents?agent_id={}&agent_name=m{}&competencies=code&"
                                  "can_review=code",
                                  i, i)));
    }
    for (int i = 0; i < 60; ++i) {
      Must(admin_.Post("/circles/kept/tasks",
                       {{"title", fmt::format("t{}", i)}, {"assigned_agent_id", i % 5 + 1}}));
    }
    document = admin_.Get("/openapi.json").Json();
    operations = OperationsOf(document);
  }

  // Of every table that requests change; what the daemon writes by itself is left out, and the record of
  // failed logins, which is meant to grow.
  std::map<std::string, std::string> Digests() {
    std::map<std::string, std::string> digests;
    const std::string names =
        Ask("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND "
            "relnamespace = 'public'::regnamespace AND relname NOT IN ('audit_events', 'instances')");
    std::istringstream words{names};
    for (std::string name; words >> name;) {
      digests[name] = Ask(
          fmt::format("SELECT count(*) || ' ' || coalesce(md5(string_agg(md5(t::text || t.xmin::text), '' "
                      "ORDER BY t.ctid)), '') FROM \"{}\" t",
                      name));
    }
    digests["audit_events"] = Ask("SELECT count(*)::text FROM audit_events WHERE kind <> 'auth_failure'");
    return digests;
  }
  std::string Ask(const std::string& sql) { return connection_.Execute(sql).As<std::string>(0); }

  // Until what follows the log has nothing more to do.
  void AwaitQuiet() {
    Await([&] {
      return Ask("SELECT coalesce(bool_and(position >= (SELECT coalesce(max(sequence), 0) FROM events)), "
                 "true)::text FROM event_consumers") == "true";
    });
  }

  [[nodiscard]] HttpClient Client() const { return daemon_.Client(); }
  [[nodiscard]] std::string Log() const { return daemon_.Log(); }

  // Who asks, as the Authorization header has it; empty for nobody.
  [[nodiscard]] std::string Caller(const Operation& operation, Dice& dice) const {
    if (dice.Percent(4)) return {};
    if (dice.Percent(4)) return "Bearer " + user_token_.substr(0, user_token_.size() - 1 - dice.Below(40));
    if (operation.id == "auth.logout") return "Bearer " + TokenOf(user_id_, "user");  // is over afterwards
    if (operation.authority == "admin" && !dice.Percent(20)) return "Bearer " + admin_token_;
    return "Bearer " + (dice.Percent(20) ? admin_token_ : user_token_);
  }

  json document;
  std::vector<Operation> operations;

 private:
  static void Must(const Answer& answer) {
    if (answer.status >= 300) FAIL(answer.body);
  }
  std::string NewUser() {
    return admin_
        .Post("/auth/register",
              {{"email", "user@example.com"}, {"password", "a-long-password"}, {"name", "User"}})
        .Json()
        .at("id");
  }

  FreshDatabase database_;
  db::Connection connection_{{.url = database_.url()}};
  RunningDaemon daemon_{{.database_url = database_.url(),
                         .environment = {{"SECRET_KEY", std::string{kSecret}},
                                         {"GATHERING_HTTP_LIMITS_REQUESTS_PER_CONNECTION_MAX", "1000000"}}}};
  HttpClient admin_ = daemon_.Client();
  const std::string admin_token_ = TokenOf("admin", "admin");
  const std::string user_id_ = NewUser();
  const std::string user_token_ = TokenOf(user_id_, "user");
};

struct Trial {
  const Operation* operation = nullptr;
  RandomRequest request;
};

// What is never said to a client, whatever goes wrong; nothing that is sent has it.
std::string Leak(const std::string& body) {
  for (const char* inside : {"SELECT ",   "INSERT INTO", "UPDATE ",        "DELETE FROM",
                             "SQLSTATE",  "pqxx",        "libpq",          "PostgreSQL",
                             "postgres",  "nlohmann",    "json.exception", "hiredis",
                             "std::",     "bad_alloc",   "what()",         GATHERING_SOURCE_DIR,
                             "/home/",    "/usr/",       ".cpp",           ".sql",
                             "_key\"",    "_check\"",    "violates",       "relation \"",
                             "column \"", "Traceback",   "core dumped",    "argon2",
                             "0x0"}) {
    if (body.find(inside) != std::string::npos) return inside;
  }
  return {};
}

// The same without what was sent: broken rules repeat it.
std::string WithoutInput(const json& problem) {
  json rest = problem;
  if (rest.contains("detail") && rest["detail"].is_array()) {
    for (json& rule : rest["detail"]) {
      if (rule.is_object()) rule.erase("input");
    }
  }
  return rest.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Statuses the document's "default" stands for, beside those it names.
bool IsDefault(const Operation& operation, const RandomRequest& request, int status) {
  static const std::set<int> kAlways = {400, 413, 414, 415, 431};
  static const std::set<int> kElsewhere = {307, 404, 405, 422};
  if (kAlways.contains(status)) return true;
  if (request.odd_path && kElsewhere.contains(status)) return true;
  if (status == 401) return operation.id.starts_with("auth.login");
  if (status == 404) return operation.path.starts_with("/events");  // in a circle there is not
  if (status == 409) return operation.method != "GET";
  return status == 426 && operation.path.starts_with("/ws");
}

class Judge {
 public:
  explicit Judge(const World& world) : world_(world) {}

  // What is wrong with the answer; empty: nothing.
  [[nodiscard]] std::string Fault(const Trial& trial, const Answer& answer) const {
    const std::string status = std::to_string(answer.status);
    const json& responses = trial.operation->responses;
    if (answer.status >= 500) return "a failure";
    const bool named = responses.contains(status);
    if (!named && !IsDefault(*trial.operation, trial.request, answer.status)) return "an undocumented status";
    if (answer.Count("X-Request-ID") != 1) return "no X-Request-ID";
    if (answer.Header("X-Content-Type-Options") != "nosniff") return "no security headers";
    if (answer.Header("X-Injected")) return "a header of the client's";
    if (answer.status == 204 || answer.status == 304 || answer.status == 307)
      return answer.body.empty() ? "" : "a body";
    const json body = answer.Json();
    if (answer.status >= 400) {
      if (answer.Header("Content-Type") != "application/json" || body.is_discarded()) return "no JSON";
      const std::string leak = Leak(WithoutInput(body));
      if (!leak.empty()) return "it tells of " + leak;
    }
    const json* schema = SchemaOf(named ? responses.at(status) : responses.at("default"), answer.status);
    if (schema == nullptr) return {};
    if (body.is_discarded()) return "no JSON";
    return Violation(*schema, body, world_.document);
  }

 private:
  // None: the document promises no shape.
  [[nodiscard]] const json* SchemaOf(const json& response, int status) const {
    if (response.contains("$ref"))
      return SchemaOf(world_.document.at(json::json_pointer{response["$ref"].get<std::string>().substr(1)}),
                      status);
    if (status == 422) {  // also where another route answers
      return &world_.document.at(
          "/components/responses/InvalidInput/content/application~1json/schema"_json_pointer);
    }
    const auto content = response.find("content");
    return content == response.end() ? nullptr : &content->at("application/json").at("schema");
  }

  const World& world_;
};

// How many of the trials each operation gets: passwords are slow to check, lists long to read.
std::vector<const Operation*> Schedule(const std::vector<Operation>& operations, Dice& dice) {
  std::vector<const Operation*> schedule;
  for (const Operation& operation : operations) {
    const bool hashes =
        operation.id == "auth.login" || operation.id == "auth.login_json" || operation.id == "auth.register";
    const std::size_t share = hashes                                          ? 40
                              : operation.IsList()                            ? 40
                              : operation.method == "DELETE"                  ? 150
                              : operation.path.find('{') == std::string::npos ? 150
                                                                              : 0;
    for (std::size_t i = 0; i < share; ++i) schedule.push_back(&operation);
  }
  std::vector<const Operation*> others;
  for (const Operation& operation : operations) {
    if (!operation.IsList() && operation.path.find('{') != std::string::npos && operation.method != "DELETE")
      others.push_back(&operation);
  }
  for (std::size_t i = 0; schedule.size() < kTrials; ++i) schedule.push_back(others[i % others.size()]);
  for (std::size_t i = schedule.size() - 1; i > 0; --i) std::swap(schedule[i], schedule[dice.Below(i + 1)]);
  return schedule;
}

std::string Shown(const Trial& trial, const Answer& answer) {
  std::string text = fmt::format("{} {} {}", trial.operation->id, trial.request.method, trial.request.target);
  for (const auto& [name, value] : trial.request.headers) {
    if (name != "Authorization") text += fmt::format("\n  {}: {}", name, value);
  }
  return fmt::format("{}\n  {}\n  -> {} {}", text.substr(0, 600), trial.request.body.substr(0, 600),
                     answer.status, answer.body.substr(0, 600));
}

// Asks from several threads over kept connections.
class Run {
 public:
  explicit Run(const World& world) : world_(world), judge_(world) {}

  // The statuses, in the order of the trials.
  std::vector<int> Ask(const std::vector<Trial>& trials) {
    std::vector<int> statuses(trials.size());
    std::atomic<std::size_t> next{0};
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        std::optional<HttpClient> client{world_.Client()};
        for (std::size_t i = next++; i < trials.size(); i = next++) {
          try {
            const Answer answer = client->Send(trials[i].request.method, trials[i].request.target,
                                               trials[i].request.headers, trials[i].request.body);
            statuses[i] = answer.status;
            if (answer.Header("Content-Type") == "text/event-stream") client.emplace(world_.Client());
            Note(trials[i], answer, judge_.Fault(trials[i], answer));
          } catch (const std::exception& error) {
            Note(trials[i], {}, error.what());
            client.emplace(world_.Client());
          }
        }
      });
    }
    threads.clear();
    requests_ += trials.size();
    return statuses;
  }

  [[nodiscard]] std::size_t requests() const { return requests_; }
  [[nodiscard]] const std::vector<std::string>& failures() const { return failures_; }

 private:
  void Note(const Trial& trial, const Answer& answer, const std::string& fault) {
    if (fault.empty()) return;
    const std::lock_guard lock{mutex_};
    if (failures_.size() < kFailuresShown) failures_.push_back(fault + ": " + Shown(trial, answer));
  }

  const World& world_;
  const Judge judge_;
  std::mutex mutex_;
  std::vector<std::string> failures_;
  std::size_t requests_ = 0;
};

std::vector<Trial> MakeTrials(const World& world, std::uint64_t seed) {
  const RandomRequests requests{world.document, Hint};
  Dice dice{seed};
  std::vector<Trial> trials;
  for (const Operation* operation : Schedule(world.operations, dice)) {
    Trial trial{.operation = operation, .request = requests.Make(*operation, seed + trials.size() + 1)};
    if (std::string caller = world.Caller(*operation, dice); !caller.empty())
      trial.request.headers.emplace_back("Authorization", std::move(caller));
    trials.push_back(std::move(trial));
  }
  return trials;
}

// The refused ones again, batch by batch: what is still refused has changed nothing.  What is not, because
// things have changed since, is left out and the rest asked once more.
void AskRefusedAgain(World& world, Run& run, std::vector<Trial> refused) {
  for (std::size_t from = 0; from < refused.size(); from += kBatch) {
    std::vector<Trial> batch(
        refused.begin() + static_cast<std::ptrdiff_t>(from),
        refused.begin() + static_cast<std::ptrdiff_t>(std::min(from + kBatch, refused.size())));
    for (int attempt = 0;; ++attempt) {
      REQUIRE(attempt < 5);
      world.AwaitQuiet();
      const auto before = world.Digests();
      const std::vector<int> statuses = run.Ask(batch);
      std::vector<Trial> still;
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (statuses[i] >= 400) still.push_back(batch[i]);
      }
      if (still.size() == batch.size()) {
        const auto after = world.Digests();
        INFO("requests " << from << " to " << from + batch.size() << " of the refused");
        CHECK(after == before);
        break;
      }
      batch = std::move(still);
    }
  }
}

}  // namespace

TEST_CASE("whatever values every operation is asked with, it answers as documented and nothing breaks") {
  const char* const given = std::getenv("GATHERING_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  INFO("GATHERING_SEED=" << seed);
  World world;
  REQUIRE(world.operations.size() > 60);
  Run run{world};
  const std::vector<Trial> trials = MakeTrials(world, seed);
  const std::vector<int> statuses = run.Ask(trials);

  std::map<std::string, int> succeeded;
  std::map<std::string, int> failed;
  std::vector<Trial> refused;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const std::string& id = trials[i].operation->id;
    if (statuses[i] >= 200 && statuses[i] < 300) ++succeeded[id];
    if (statuses[i] < 400) continue;
    ++failed[id];
    refused.push_back(trials[i]);
  }
  AskRefusedAgain(world, run, std::move(refused));

  for (const std::string& failure : run.failures()) FAIL_CHECK(failure);
  CHECK(run.requests() >= kRequestsMin);
  for (const Operation& operation : world.operations) {
    INFO(operation.id);
    // A WebSocket is opened by another kind of request.
    const bool opens = operation.id == "ws.topics" || operation.id == "ws.dashboard";
    CHECK(succeeded[operation.id] >= (opens ? 0 : 5));
    if (operation.path.find('{') != std::string::npos || !operation.body.is_null())
      CHECK(failed[operation.id] >= 5);
  }
  CHECK(world.Ask("SELECT string_agg(public_id, ' ') FROM users WHERE role = 'admin'") == "admin");
  CHECK(world.Log().find("\"level\":\"error\"") == std::string::npos);
}

}  // namespace gathering::test
