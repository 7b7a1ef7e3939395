#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "cmd/terminal.h"
#include "cmd/try_limits.h"
#include "core/base/network.h"
#include "core/base/timestamp.h"
#include "core/limits/policy.h"
#include "core/limits/store.h"
#include "core/schema/reader.h"
#include "core/schema/writer.h"
#include "daemon/api/table.h"
#include "daemon/http/message.h"

namespace gathering::cmd {
namespace {

constexpr std::size_t kLineBytesMax = 64 * 1024;
constexpr std::size_t kClientsMax = 100'000;  // told apart; what more there are is only counted
constexpr std::size_t kClientsShown = 10;

// Of a line of the access log what decides.
struct Line {
  std::string msg;
  std::string time;
  std::string route;
  std::string user;
  std::string client;

  static void Fields(auto& self, auto& visit) {
    visit("msg", self.msg);
    visit("time", self.time);
    visit("route", self.route);
    visit("user", self.user);
    visit("client", self.client);
  }
};

struct Tally {
  std::string name;  // of a tier, or of a client
  std::string limit;
  std::int64_t requests = 0;
  std::int64_t refused = 0;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name);
    visit("limit", self.limit);
    visit("requests", self.requests);
    visit("refused", self.refused);
  }
};

struct Report {
  std::int64_t schema = 1;
  std::int64_t requests = 0;
  std::int64_t unreadable = 0;  // lines that are no JSON, or a request without a time
  std::int64_t unlimited = 0;   // requests that no limit concerns
  std::vector<Tally> tiers;
  std::vector<Tally> clients;  // those refused most often

  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("requests", self.requests);
    visit("unreadable", self.unreadable);
    visit("unlimited", self.unlimited);
    visit("tiers", self.tiers);
    visit("clients", self.clients);
  }
};

// The limits of a configuration, applied to requests of the past by their own times.
class Replay {
 public:
  explicit Replay(const RateLimitsConfig& config) : policy_(config), store_({.keys_max = config.keys_max}) {
    for (const auto& table : http::RouteTables()) {
      for (const http::Route& route : table) tiers_of_routes_.emplace(route.id, http::Name(route.tier));
    }
  }

  void Take(std::string_view text) {
    const auto line = Read(text);
    if (!line) {
      ++report_.unreadable;
      return;
    }
    if (line->msg != "request") return;
    const auto time = ParseTimestamp(line->time);
    if (!time) {
      ++report_.unreadable;
      return;
    }
    ++report_.requests;
    Decide(*line, *time);
  }

  Report Finish() {
    for (auto& [name, tally] : tiers_) report_.tiers.push_back(std::move(tally));
    for (auto& [name, tally] : clients_) {
      if (tally.refused > 0) report_.clients.push_back(std::move(tally));
    }
    std::ranges::sort(report_.clients, std::greater{}, &Tally::refused);
    if (report_.clients.size() > kClientsShown) report_.clients.resize(kClientsShown);
    return std::move(report_);
  }

 private:
  static std::optional<Line> Read(std::string_view text) {
    if (text.size() > kLineBytesMax) return std::nullopt;
    try {
      std::vector<FieldError> errors;
      auto line = schema::ReadJson<Line>(schema::ParseJson(text, {}), "line", errors);
      return errors.empty() ? std::optional{std::move(line)} : std::nullopt;
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  void Decide(const Line& line, Timestamp time) {
    const auto tier = tiers_of_routes_.find(line.route);
    const auto address = ParseAddress(line.client);
    const limits::Rule rule =
        tier == tiers_of_routes_.end() ? limits::Rule{} : policy_.RuleFor(line.route, tier->second);
    const bool exempt = line.client == http::kControlPeer || (address && policy_.Exempts(*address));
    if (!rule.tier || exempt) {
      ++report_.unlimited;
      return;
    }
    const std::string customer = address ? ToText(CustomerOf(*address)) : line.client;
    const std::string subject = line.user.empty() ? "address " + customer : "user " + line.user;
    const Clock::Steady now{std::chrono::microseconds{time.micros}};
    const bool refused = !store_.Take(*rule.tier, subject, rule.cost, now).allowed;
    Tally& of_tier = tiers_[rule.tier->name()];
    of_tier.name = rule.tier->name();
    of_tier.limit = limits::ToText(rule.tier->options().limit);
    Count(of_tier, refused);
    const std::string key = rule.tier->name() + " " + subject;
    if (clients_.size() >= kClientsMax && !clients_.contains(key)) return;
    Tally& of_client = clients_[key];
    of_client.name = subject;
    of_client.limit = rule.tier->name();
    Count(of_client, refused);
  }

  static void Count(Tally& tally, bool refused) {
    ++tally.requests;
    tally.refused += refused ? 1 : 0;
  }

  const limits::Policy policy_;
  limits::Store store_;
  std::unordered_map<std::string, std::string_view> tiers_of_routes_;
  std::map<std::string, Tally> tiers_;
  std::unordered_map<std::string, Tally> clients_;
  Report report_;
};

std::string Text(const Report& report) {
  std::string text = fmt::format("{:<24}{:<24}{:>10}{:>10}\n", "tier", "limit", "requests", "refused");
  for (const Tally& tier : report.tiers)
    text += fmt::format("{:<24}{:<24}{:>10}{:>10}\n", tier.name, tier.limit, tier.requests, tier.refused);
  if (!report.clients.empty()) {
    text += fmt::format("\n{:<48}{:>10}{:>10}\n", "refused most often", "requests", "refused");
    for (const Tally& client : report.clients) {
      text += fmt::format("{:<48}{:>10}{:>10}\n", client.name + ", " + client.limit, client.requests,
                          client.refused);
    }
  }
  return text;
}

}  // namespace

Exit TryLimits(const Context& context, const std::string& log_file, Output output) {
  const LoadedConfig loaded = context.Load();
  std::ifstream file;
  if (log_file != "-") file.open(log_file);
  std::istream& in = log_file == "-" ? std::cin : file;
  if (!in)
    throw UsageError{fmt::format("cannot read {}; give an access log, or - for standard input", log_file)};
  Replay replay{loaded.config.rate_limits};
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) replay.Take(line);
  }
  if (in.bad()) throw UsageError{fmt::format("cannot read {} to its end", log_file)};
  const Report report = replay.Finish();
  Print(output == Output::kJson ? schema::ToJson(report) + "\n" : Text(report));
  context.Say(fmt::format("{} requests, {} of them not limited; {} lines could not be read", report.requests,
                          report.unlimited, report.unreadable));
  return Exit::kOk;
}

}  // namespace gathering::cmd
