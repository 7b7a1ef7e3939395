// Replays recorded exchanges against a running daemon and compares status and shape.
//
// tests/data/exchanges.jsonl holds one exchange a line, in the order they were made:
//   n, name        where it comes from
//   run            exchanges of one run share a fresh daemon
//   as             "none", "admin" or "user": whose token goes with it
//   method, path, headers, json | form | raw
//   status         the statuses that are right (several: any of them)
//   shape          names and types of the answer's fields; null fits every type
//   errors         for 422: type and location of each broken rule
//   recorded_id    the id the recorded system gave; later paths are translated to ours
//   setup          not recorded, but what follows needs it
//   peer_bug       the recorded answer was wrong, `status` is the right one
#include <catch2/catch.hpp>

#include <fstream>
#include <map>

#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/json_schema.h"

namespace gathering::test {
namespace {

using nlohmann::json;

std::vector<json> Exchanges(std::string_view run) {
  std::ifstream in{GATHERING_SOURCE_DIR "/tests/data/exchanges.jsonl"};
  std::vector<json> all;
  for (std::string line; std::getline(in, line);) {
    json exchange = json::parse(line);
    if (exchange.at("run") == run) all.push_back(std::move(exchange));
  }
  return all;
}

std::string TypeOf(const json& value) {
  if (value.is_boolean()) return "boolean";
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) return "number";
  if (value.is_string()) return "string";
  return value.type_name();
}

// Empty when `value` has the recorded shape, else where it differs.
std::string Difference(const json& shape, const json& value, const std::string& at = "$") {
  if (shape.is_string()) {
    const std::string want = shape;
    const std::string have = TypeOf(value);
    const bool fits = want == "any" || want == "null" || have == "null" || want == have ||
                      (want == "number" && have == "integer");
    return fits ? "" : at + ": " + have + " instead of " + want;
  }
  if (value.is_null()) return "";
  if (shape.is_array()) {
    if (!value.is_array()) return at + ": " + TypeOf(value) + " instead of array";
    for (std::size_t i = 0; i < value.size() && !shape.empty(); ++i) {
      const std::string difference = Difference(shape[0], value[i], at + "[" + std::to_string(i) + "]");
      if (!difference.empty()) return difference;
    }
    return "";
  }
  if (!value.is_object()) return at + ": " + TypeOf(value) + " instead of object";
  for (const auto& [name, inner] : shape.items()) {
    if (!value.contains(name)) return at + "." + name + " is missing";
    const std::string difference = Difference(inner, value[name], at + "." + name);
    if (!difference.empty()) return difference;
  }
  return "";
}

// True when `path` (without its query) is an instance of `pattern`, e.g. /agents/{agent_id}.
bool Matches(std::string_view pattern, std::string_view path) {
  path = path.substr(0, path.find('?'));
  while (!pattern.empty() && !path.empty()) {
    if (pattern.front() == '{') {
      pattern.remove_prefix(pattern.find('}') + 1);
      path.remove_prefix(std::min(path.find('/'), path.size()));
    } else if (pattern.front() == path.front()) {
      pattern.remove_prefix(1);
      path.remove_prefix(1);
    } else {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

// The schema our own OpenAPI document promises for this answer; null when it promises none.
json PromisedSchema(const json& document, const std::string& method, std::string_view path, int status) {
  std::string verb = method;
  std::transform(verb.begin(), verb.end(), verb.begin(), [](unsigned char c) { return std::tolower(c); });
  const json* found = nullptr;
  for (const auto& [pattern, operations] : document.at("paths").items()) {
    const bool better = found == nullptr || pattern.find('{') == std::string::npos;
    if (operations.contains(verb) && better && Matches(pattern, path)) found = &operations[verb];
  }
  if (found == nullptr) return nullptr;
  const json responses = found->value("responses", json::object());
  const std::string code = std::to_string(status);
  if (!responses.contains(code) || !responses[code].contains("content")) return nullptr;
  return responses[code]["content"].value("application/json", json::object()).value("schema", json{});
}

// One fresh daemon and what has been learnt from it so far.
class Replay {
 public:
  Replay()
      : daemon_{{}},
        client_{daemon_.Client()},
        admin_{LogIn(kAdminEmail, kAdminPassword)},
        openapi_(client_.Get("/openapi.json").Json()) {}

  // Runs one exchange; the answer to "is it right", in words, empty when it is.
  std::string Run(const json& exchange) {
    const std::string as = exchange.at("as");
    Headers headers;
    if (as == "admin") headers.emplace_back("Authorization", "Bearer " + admin_);
    if (as == "user") {
      if (user_.empty()) user_ = LogIn("alice@example.com", "correct-horse-1");
      headers.emplace_back("Authorization", "Bearer " + user_);
    }
    const json given = exchange.value("headers", json::object());
    for (const auto& [name, value] : given.items()) {
      if (name != "Content-Type") headers.emplace_back(name, value.get<std::string>());
    }
    const std::string body = BodyOf(exchange, headers);
    const Answer answer = client_.Send(exchange.at("method").get<std::string>(),
                                       Translate(exchange.at("path").get<std::string>()), headers, body);
    Learn(exchange, answer);
    const std::string difference = Judge(exchange, answer);
    return difference.empty() ? JudgeBySchema(exchange, answer) : difference;
  }

 private:
  std::string LogIn(std::string_view email, std::string_view password) {
    const Answer answer = client_.Send("POST", "/auth/login/json", {{"Content-Type", "application/json"}},
                                       json{{"email", email}, {"password", password}}.dump());
    return answer.Json().value("access_token", "");
  }

  std::string BodyOf(const json& exchange, Headers& headers) {
    if (exchange.contains("form")) {
      headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
      std::string body;
      for (const auto& [name, value] : exchange["form"].items()) {
        body += (body.empty() ? "" : "&") + UrlEncode(name) + "=" + UrlEncode(value.get<std::string>());
      }
      return body;
    }
    if (exchange.contains("raw")) return exchange["raw"];
    if (!exchange.contains("json")) return {};
    headers.emplace_back("Content-Type", "application/json");
    json body = exchange["json"];
    if (body.is_object() && body.contains("provider_id")) {
      const std::string recorded = "providers/" + body["provider_id"].dump();
      if (ids_.contains(recorded)) body["provider_id"] = json::parse(ids_[recorded]);
    }
    return body.dump();
  }

  // /providers/9 becomes the id our own POST /providers gave.
  std::string Translate(const std::string& path) {
    const auto slash = path.find('/', 1);
    if (slash == std::string::npos) return path;
    const auto end = path.find_first_of("/?", slash + 1);
    const std::string key = path.substr(1, end == std::string::npos ? std::string::npos : end - 1);
    const auto known = ids_.find(key);
    if (known == ids_.end()) return path;
    return path.substr(0, slash + 1) + known->second + (end == std::string::npos ? "" : path.substr(end));
  }

  void Learn(const json& exchange, const Answer& answer) {
    if (!exchange.contains("recorded_id") || answer.status != 201) return;
    const std::string resource = exchange.at("path").get<std::string>().substr(1);
    ids_[resource + "/" + exchange["recorded_id"].dump()] = answer.Json().at("id").dump();
  }

  static std::string Judge(const json& exchange, const Answer& answer) {
    const auto& allowed = exchange.at("status");
    if (std::find(allowed.begin(), allowed.end(), json(answer.status)) == allowed.end()) {
      return "status " + std::to_string(answer.status) + " instead of " + allowed.dump() + ": " + answer.body;
    }
    if (exchange.contains("shape")) return Difference(exchange["shape"], answer.Json());
    if (exchange.contains("errors")) {
      json errors = json::array();
      for (const auto& error : answer.Json().value("detail", json::array())) {
        errors.push_back({{"type", error.value("type", "")}, {"loc", error.value("loc", json::array())}});
      }
      if (errors != exchange["errors"]) return errors.dump() + " instead of " + exchange["errors"].dump();
    }
    return {};
  }

  // Whether the answer keeps what our own OpenAPI document promises for it.
  std::string JudgeBySchema(const json& exchange, const Answer& answer) {
    const json schema = PromisedSchema(openapi_, exchange.at("method"),
                                       exchange.at("path").get<std::string>(), answer.status);
    return schema.is_null() ? "" : Violation(schema, answer.Json(), openapi_);
  }

  RunningDaemon daemon_;
  HttpClient client_;
  std::string admin_;
  json openapi_;
  std::string user_;
  std::map<std::string, std::string> ids_;
};

void ReplayRun(std::string_view run, const std::vector<json>& before) {
  Replay replay;
  for (const json& exchange : before) REQUIRE(replay.Run(exchange).empty());
  std::size_t right = 0;
  std::size_t wrong = 0;
  for (const json& exchange : Exchanges(run)) {
    const std::string difference = replay.Run(exchange);
    if (!difference.empty()) UNSCOPED_INFO(exchange["n"] << " " << exchange["name"] << ": " << difference);
    (difference.empty() ? right : wrong) += 1;
    CHECK(difference == "");
  }
  WARN("run " << run << ": " << right << " exchanges answered as recorded or better, " << wrong << " not");
  CHECK(right > 0);
}

json NewAgent(std::string_view name) {
  return {{"as", "admin"},
          {"method", "POST"},
          {"path", "/agents"},
          {"status", {201}},
          {"json", {{"persona", {{"name", name}, {"role", "Assistant"}}}}}};
}

}  // namespace

TEST_CASE("the exchanges recorded on an empty system are answered as recorded or better") {
  ReplayRun("a", {});
}

TEST_CASE("the exchanges recorded with odd input are answered as recorded or better") {
  ReplayRun("b", {});
}

TEST_CASE("the exchanges recorded with two agents present are answered as recorded or better") {
  ReplayRun("c", {NewAgent("First"), NewAgent("Second")});
}

}  // namespace gathering::test
