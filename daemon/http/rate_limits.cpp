#include "daemon/http/rate_limits.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/base/text.h"
#include "daemon/http/client.h"

namespace gathering::http {
namespace {

using std::chrono::nanoseconds;

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
constexpr std::int64_t kNanosPerMicro = 1'000;

// Subjects of different kinds never meet.
constexpr char kOfUser = 'u';
constexpr char kOfAddress = 'a';
constexpr char kOfAccount = 'n';

std::int64_t WholeSeconds(nanoseconds duration) {
  return (duration.count() + kNanosPerSecond - 1) / kNanosPerSecond;
}

void AppendNumber(std::int64_t number, std::string& out) {
  char digits[20];
  const auto [end, failure] = std::to_chars(std::begin(digits), std::end(digits), number);
  out.append(digits, end);
}

void AppendField(std::string_view name, std::int64_t value, std::string& out) {
  out.append(name).append(": ");
  AppendNumber(value, out);
  out.append("\r\n");
}

std::string ClientSubject(const std::optional<Address>& client) {
  std::string subject(1, kOfAddress);
  if (!client) return subject.append(kUnixPeer);
  for (const std::uint8_t byte : CustomerOf(*client).bytes) subject.push_back(static_cast<char>(byte));
  return subject;
}

std::string AccountSubject(std::string_view account) {
  return kOfAccount + Lower(Trimmed(account));
}

}  // namespace

// What of a route's limit does not change from answer to answer.
struct RateLimits::RouteState {
  struct Rate {
    std::string name;      // in RateLimit, quoted
    std::string sentence;  // "5 per 1 minute"
  };

  RouteLimit limit;
  std::vector<Rate> rates;   // as the tier's quotas
  std::string policy_field;  // "RateLimit-Policy: …\r\n"
};

// The rules of one version, as one thread uses them.  A fiber that sleeps may find another one afterwards, so
// it holds on to what it uses.
struct RateLimits::Snapshot {
  std::uint64_t version = 0;
  std::shared_ptr<const limits::Policy> policy;
  std::unordered_map<const Route*, std::shared_ptr<const RouteState>> states;
};

RateLimits::Snapshot& RateLimits::Current() {
  thread_local Snapshot here;
  const std::uint64_t version = limiter_.version();
  if (here.version != version) here = {.version = version, .policy = limiter_.policy(), .states = {}};
  return here;
}

std::shared_ptr<const RateLimits::RouteState> RateLimits::StateOf(const Route& route) {
  Snapshot& snapshot = Current();
  const auto known = snapshot.states.find(&route);
  if (known != snapshot.states.end()) return known->second;
  RouteState state{.limit = limiter_.LimitOf(*snapshot.policy, route.id, Name(route.tier)),
                   .rates = {},
                   .policy_field = {}};
  if (const auto& tier = state.limit.rule.tier) {
    std::string list;
    const std::vector<limits::Rate> rates = limits::LongestFirst(tier->options().limit);
    for (std::size_t i = 0; i < rates.size(); ++i) {
      const limits::Rate& rate = rates[i];
      const std::string name =
          i == 0 ? fmt::format("\"{}\"", tier->name()) : fmt::format("\"{}-{}\"", tier->name(), i + 1);
      state.rates.push_back({name, limits::ToSentence(rate)});
      list += fmt::format("{}{};q={};w={}", i == 0 ? "" : ", ", name, rate.count, rate.period.count());
    }
    state.policy_field = fmt::format("RateLimit-Policy: {}\r\n", list);
  }
  auto shared = std::make_shared<const RouteState>(std::move(state));
  snapshot.states.emplace(&route, shared);
  return shared;
}

void RateLimits::Admit(const Request& request, const Route& route, Standing& standing) {
  standing.decided = true;
  if (request.peer == kControlPeer) {
    limiter_.NoteExempt();
    standing.exempt = true;
    standing.client = kControlPeer;
    return;
  }
  const auto policy = Current().policy;
  const auto client = ClientOf(request, *policy);
  standing.client = client ? ToText(*client) : std::string{kUnixPeer};
  const auto state = StateOf(route);
  if (!state->limit.rule.tier) return;
  if (client && policy->Exempts(*client)) {
    limiter_.NoteExempt();
    standing.exempt = true;
    return;
  }
  std::string subject;
  if (route.authority != Authority::kPublic) {
    const auto user = authority_.UserOf(request.Find("Authorization"), standing.token_digest);
    if (user) subject = kOfUser + *user;
  }
  Decide(*state, subject.empty() ? ClientSubject(client) : subject, standing);
}

void RateLimits::AdmitAccount(const Route& route, std::string_view account, Standing& standing) {
  const auto state = StateOf(route);
  if (standing.exempt || !state->limit.rule.tier) return;
  Decide(*state, AccountSubject(account), standing);
}

void RateLimits::Decide(const RouteState& state, std::string_view subject, Standing& standing) {
  const limits::Decision decision = limiter_.Decide(state.limit, subject);
  WriteFields(state, decision, standing);
  if (!decision.allowed) throw RateLimited{"Rate limit exceeded: " + state.rates[decision.rate].sentence};
}

void RateLimits::WriteFields(const RouteState& state, const limits::Decision& decision,
                             Standing& standing) const {
  const std::int64_t reset_micros =
      clock_.WallNow().micros + (decision.reset_after.count() + kNanosPerMicro - 1) / kNanosPerMicro;
  std::string& out = standing.fields;
  out.clear();
  if (!decision.allowed)
    AppendField("Retry-After",
                std::max<std::int64_t>(1, WholeSeconds(limiter_.WithJitter(decision.retry_after))), out);
  AppendField("X-RateLimit-Limit", decision.limit, out);
  AppendField("X-RateLimit-Remaining", decision.remaining, out);
  AppendField("X-RateLimit-Reset", (reset_micros + kMicrosPerSecond - 1) / kMicrosPerSecond, out);
  out.append(state.policy_field).append("RateLimit: ").append(state.rates[decision.rate].name).append(";r=");
  AppendNumber(decision.remaining, out);
  out.append(";t=");
  AppendNumber(WholeSeconds(decision.allowed ? decision.reset_after : decision.retry_after), out);
  out.append("\r\n");
}

void RateLimits::TryPassword(std::string_view account, Standing& standing) {
  if (standing.exempt || !Current().policy->enabled()) return;
  const limits::LockoutAnswer answer = limiter_.TryAccount(AccountSubject(account));
  if (answer.allowed) return;
  standing.fields.clear();
  AppendField("Retry-After", std::max<std::int64_t>(1, WholeSeconds(limiter_.WithJitter(answer.retry_after))),
              standing.fields);
  throw RateLimited{"Too many failed logins for this account"};
}

void RateLimits::PasswordWasRight(std::string_view account) {
  limiter_.ForgetAccount(AccountSubject(account));
}

void RateLimits::PasswordWasNotChecked(std::string_view account) {
  limiter_.UndoAccount(AccountSubject(account));
}

}  // namespace gathering::http
