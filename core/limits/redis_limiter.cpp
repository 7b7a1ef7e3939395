#include "core/limits/redis_limiter.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "core/base/count.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/limits/redis_script.h"

namespace gathering::limits {
namespace {

using std::chrono::microseconds;
using Steady = Clock::Steady;

constexpr std::chrono::seconds kTrustAfter{5};  // closed for so long, the breaker begins its backoff anew
constexpr int kVaryPercent = 25;
constexpr std::int64_t kMarkMax = std::int64_t{1} << 48;  // what Lua can hold

// A number as a word of a command.
class NumberText {
 public:
  explicit NumberText(std::int64_t value) { Write(value); }
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

  // Nanoseconds in microseconds, with what is left as decimals.
  static NumberText Micros(std::int64_t nanoseconds) {
    NumberText text{nanoseconds / 1'000};
    text.text_[text.size_++] = '.';
    const std::int64_t rest = nanoseconds % 1'000;
    for (const std::int64_t unit : {100, 10, 1})
      text.text_[text.size_++] = static_cast<char>('0' + rest / unit % 10);
    return text;
  }

 private:
  void Write(std::int64_t value) {
    const auto [end, error] = std::to_chars(text_.data(), text_.data() + text_.size(), value);
    size_ = static_cast<std::size_t>(end - text_.data());
  }

  std::array<char, 28> text_;
  std::size_t size_ = 0;
};

template <std::size_t N>
void CountInClass(std::array<Count, N>& classes, std::uint64_t value) {
  const auto at = static_cast<std::size_t>(value <= 1 ? 0 : std::bit_width(value - 1));
  classes[std::min(at, N - 1)].Add();
}

std::uint32_t Seed() {
  return std::random_device{}();
}

}  // namespace

struct RedisPending::Entry {
  enum class Kind : std::uint8_t { kDecision, kLockout, kHeartbeat, kScript };

  Kind kind = Kind::kDecision;
  RedisPending* pending = nullptr;  // null: nobody waits, or not any longer
  Steady submitted{};
  Steady deadline{};
  Hash128 hash{};  // names the key in Redis
  bool resent = false;
  bool decided = false;   // locally, as the deadline passed
  bool admitted = false;  // by that
  // kDecision
  std::shared_ptr<const Tier> tier = {};
  Store::Key key = {};
  std::uint32_t cost = 0;
  Debts debts = {};
  // kLockout
  std::string account = {};
  std::string_view act = {};  // of the script; a literal
  // kScript
  std::string_view script = {};
};

struct RedisLimiter::Counters {
  Count breaker, instances, in_flight, shared_allowed, shared_limited, local_allowed, local_limited;
  Count away, timeouts, errors, lost, full, late, given_up;
  Count connects, connect_failures, disconnects, opened, scripts_loaded, memory_lost;
  Count batches, batch_max, latency_max_us;
  std::array<Count, kBatchClasses> batch_sizes;
  std::array<Count, kLatencyClasses> latencies;
};

RedisLimiter::RedisLimiter(RedisLimiterOptions options, Owner& owner, const Parts& parts)
    : options_(std::move(options)),
      owner_(owner),
      endpoint_(parts.endpoint),
      local_(parts.local),
      lockout_(parts.lockout),
      clock_(parts.clock),
      script_names_{ScriptName(DecideScript()), ScriptName(LockoutScript())},
      instances_key_(options_.prefix + ":{instances}"),
      mark_key_(options_.prefix + ":{instances}:mark"),
      random_(Seed()),
      instances_(std::max<std::uint32_t>(1, options_.instances_assumed)),
      counters_(std::make_unique<Counters>()) {
  counters_->breaker.Set(static_cast<std::uint64_t>(breaker_));
  counters_->instances.Set(static_cast<std::uint64_t>(instances_));
}

RedisLimiter::~RedisLimiter() {
  if (link_) owner_.Unwatch(link_->descriptor());
}

// --- questions -----------------------------------------------------------------------------------

bool RedisLimiter::Usable(Why& why) const {
  if (breaker_ != BreakerState::kClosed) {
    why = Why::kAway;
    return false;
  }
  why = Why::kFull;
  return entries_.size() < options_.in_flight_max;
}

std::optional<Decision> RedisLimiter::Take(const std::shared_ptr<const Tier>& tier, std::string_view subject,
                                           std::uint32_t cost, DecisionPending& pending) {
  const Store::Key key = local_.KeyOf(*tier, subject);
  Why why{};
  if (!Usable(why)) return Local(key, *tier, cost, why);
  Entry& entry = Enqueue(&pending);
  entry.kind = Entry::Kind::kDecision;
  entry.hash = SipHash{options_.secret}.Add(tier->id()).Finish(subject);
  entry.tier = tier;
  entry.key = key;
  entry.cost = cost;
  entry.debts = local_.CollectDebts(key, tier->quotas(), entry.submitted);
  return std::nullopt;
}

Decision RedisLimiter::Local(const Store::Key& key, const Tier& tier, std::uint32_t cost, Why why) {
  const Decision decision =
      local_.Take(key, tier.quotas().Divided(instances_, tier.strict()), cost, clock_.Now(), true);
  Counters& c = *counters_;
  (decision.allowed ? c.local_allowed : c.local_limited).Add();
  switch (why) {
    case Why::kAway:
      c.away.Add();
      break;
    case Why::kTimeout:
      c.timeouts.Add();
      break;
    case Why::kError:
      c.errors.Add();
      break;
    case Why::kLost:
      c.lost.Add();
      break;
    case Why::kFull:
      c.full.Add();
      break;
  }
  return decision;
}

std::optional<LockoutAnswer> RedisLimiter::Try(std::string_view account, LockoutPending& pending) {
  Why why{};
  if (!Usable(why)) return lockout_.Try(account, clock_.Now());
  QueueLockout("try", account, &pending);
  return std::nullopt;
}

void RedisLimiter::Forget(std::string_view account) {
  lockout_.Forget(account, clock_.Now());
  Why why{};
  if (Usable(why)) QueueLockout("forget", account, nullptr);
}

void RedisLimiter::Undo(std::string_view account) {
  lockout_.Undo(account, clock_.Now());
  Why why{};
  if (Usable(why)) QueueLockout("undo", account, nullptr);
}

void RedisLimiter::QueueLockout(std::string_view act, std::string_view account, LockoutPending* pending) {
  Entry& entry = Enqueue(pending);
  entry.kind = Entry::Kind::kLockout;
  entry.hash = SipHash{options_.secret}.Finish(account);
  entry.account = account;
  entry.act = act;
}

RedisLimiter::Entry& RedisLimiter::Enqueue(RedisPending* pending) {
  const Steady now = clock_.Now();
  Entry& entry = entries_.emplace_back();
  entry.pending = pending;
  entry.submitted = now;
  entry.deadline = now + options_.deadline;
  if (pending != nullptr) pending->entry_ = &entry;
  if (!std::exchange(flush_wanted_, true)) owner_.FlushWanted();
  counters_->in_flight.Set(entries_.size());
  return entry;
}

void RedisLimiter::GiveUp(RedisPending& pending) {
  if (pending.entry_ == nullptr) return;
  pending.entry_->pending = nullptr;
  pending.entry_ = nullptr;
  counters_->given_up.Add();
}

// --- sending -------------------------------------------------------------------------------------

void RedisLimiter::Flush() {
  flush_wanted_ = false;
  if (!link_ || !ready_ || sent_ == entries_.size()) return;
  const std::size_t size = entries_.size() - sent_;
  while (sent_ < entries_.size()) Encode(entries_[sent_++]);
  counters_->batches.Add();
  counters_->batch_max.Set(std::max<std::uint64_t>(counters_->batch_max.Get(), size));
  CountInClass(counters_->batch_sizes, size);
  link_->Flush();
  link_->state() == RedisLink::State::kLost ? Lost() : WatchLink();
}

void RedisLimiter::Encode(const Entry& entry) {
  switch (entry.kind) {
    case Entry::Kind::kDecision:
      EncodeDecision(entry);
      break;
    case Entry::Kind::kLockout:
      EncodeLockout(entry);
      break;
    case Entry::Kind::kHeartbeat:
      EncodeHeartbeat();
      break;
    case Entry::Kind::kScript:
      link_->Append({"SCRIPT", "LOAD", entry.script});
      break;
  }
}

void RedisLimiter::EncodeDecision(const Entry& entry) {
  const Tier& tier = *entry.tier;
  const Quotas& quotas = tier.quotas();
  key_text_.clear();
  fmt::format_to(std::back_inserter(key_text_), "{}:{{{}:{:016x}{:016x}}}", options_.prefix, tier.name(),
                 entry.hash.high, entry.hash.low);
  link_->Begin(6 + 6 * quotas.size());
  link_->Word("EVALSHA");
  link_->Word(script_names_[0]);
  link_->Word("1");
  link_->Word(key_text_);
  link_->Word(tier.options().algorithm == Algorithm::kGcra ? "gcra" : "window");
  link_->Word(NumberText{entry.cost}.view());
  for (std::size_t i = 0; i < quotas.size(); ++i) {
    link_->Word(NumberText{quotas[i].burst}.view());
    link_->Word(NumberText::Micros(quotas[i].interval).view());
    link_->Word(NumberText::Micros(quotas[i].period).view());
    link_->Word(NumberText{entry.debts[i].count}.view());
    link_->Word(NumberText{std::min(entry.debts[i].spent, quotas[i].burst) * instances_}.view());
    link_->Word(NumberText::Micros(entry.debts[i].ahead_ns).view());
  }
}

void RedisLimiter::EncodeLockout(const Entry& entry) {
  const LockoutPolicy& policy = lockout_.policy();
  const auto micros = [](std::chrono::milliseconds time) { return NumberText{microseconds{time}.count()}; };
  key_text_.clear();
  fmt::format_to(std::back_inserter(key_text_), "{}:{{lockout:{:016x}{:016x}}}", options_.prefix,
                 entry.hash.high, entry.hash.low);
  link_->Append({"EVALSHA", script_names_[1], "1", key_text_, entry.act, NumberText{policy.free}.view(),
                 micros(policy.first_wait).view(), micros(policy.longest_wait).view(),
                 micros(policy.quiet).view()});
}

// By its text, so that it works whatever Redis has forgotten.
void RedisLimiter::EncodeHeartbeat() {
  const NumberText lifetime{options_.instance_lifetime.count()};
  const NumberText mark{std::uniform_int_distribution<std::int64_t>{1, kMarkMax}(random_)};
  link_->Append({"EVAL", HeartbeatScript(), "2", instances_key_, mark_key_, options_.instance,
                 lifetime.view(), mark.view()});
}

void RedisLimiter::SendHeartbeat() {
  Enqueue(nullptr).kind = Entry::Kind::kHeartbeat;
  heartbeat_out_ = true;
  Flush();
}

void RedisLimiter::LoadScripts() {
  for (const std::string_view script : {DecideScript(), LockoutScript()}) {
    Entry& entry = Enqueue(nullptr);
    entry.kind = Entry::Kind::kScript;
    entry.script = script;
    ++scripts_out_;
  }
}

// --- receiving -----------------------------------------------------------------------------------

void RedisLimiter::OnReady() {
  if (!link_) return;
  link_->Advance();
  if (!ready_ && link_->state() == RedisLink::State::kReady) Begin();
  while (link_ && ready_) {
    const RedisReply* const reply = link_->Next();
    if (reply == nullptr) break;
    TakeReply(*reply);
  }
  if (!link_) return;
  if (link_->state() == RedisLink::State::kLost) {
    Lost();
    return;
  }
  WatchLink();
}

void RedisLimiter::TakeReply(const RedisReply& reply) {
  if (sent_ == 0) {
    log::Warn("Redis said something unasked", {{"text", reply.text}});
    Lost();
    return;
  }
  Entry entry = std::move(entries_.front());
  entries_.pop_front();
  --sent_;
  if (entry.resent) --resent_;
  if (entry.pending != nullptr) entry.pending->entry_ = nullptr;
  counters_->in_flight.Set(entries_.size());
  switch (entry.kind) {
    case Entry::Kind::kDecision:
      TakeDecision(entry, reply);
      break;
    case Entry::Kind::kLockout:
      TakeLockout(entry, reply);
      break;
    case Entry::Kind::kHeartbeat:
      TakeHeartbeat(entry.submitted, reply);
      break;
    case Entry::Kind::kScript:
      --scripts_out_;
      if (reply.kind == RedisReply::Kind::kError)
        log::Warn("Redis refuses our script", {{"cause", reply.text}});
      break;
  }
}

void RedisLimiter::TakeDecision(Entry& entry, const RedisReply& reply) {
  const Quotas& quotas = entry.tier->quotas();
  const Steady now = clock_.Now();
  if (reply.kind != RedisReply::Kind::kList || reply.size < kDecisionNumbers + 2 * quotas.size() ||
      reply.integers[1] < 0 || reply.integers[1] >= static_cast<std::int64_t>(quotas.size())) {
    if (reply.text.starts_with("NOSCRIPT") && SendAgain(entry)) return;
    local_.ReturnDebts(entry.key, quotas, entry.debts, now);
    if (entry.pending == nullptr) return;
    Failed(reply.text);
    DecideLocally(entry, Why::kError);
    return;
  }
  const bool allowed = reply.integers[0] == 1;
  if (entry.decided) {
    counters_->late.Add();
    if (allowed && entry.admitted) local_.ForgiveDebts(entry.key, quotas, entry.cost, now);
    return;
  }
  failures_ = 0;
  Adopt(entry, reply, now);
  if (entry.pending == nullptr) return;
  const auto latency = std::chrono::duration_cast<microseconds>(now - entry.submitted).count();
  const auto latency_us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, latency));
  CountInClass(counters_->latencies, latency_us);
  counters_->latency_max_us.Set(std::max(counters_->latency_max_us.Get(), latency_us));
  (allowed ? counters_->shared_allowed : counters_->shared_limited).Add();
  auto& pending = static_cast<DecisionPending&>(*entry.pending);
  pending.decision = {};
  pending.decision.allowed = allowed;
  pending.decision.rate = static_cast<std::uint8_t>(reply.integers[1]);
  pending.decision.limit = reply.integers[2];
  pending.decision.remaining = std::max<std::int64_t>(0, reply.integers[3]);
  pending.decision.retry_after = microseconds{allowed ? 0 : std::max<std::int64_t>(1, reply.integers[4])};
  pending.decision.reset_after = microseconds{std::max<std::int64_t>(0, reply.integers[5])};
  pending.decision.by = DecidedBy::kShared;
  pending.OnDecided();
}

void RedisLimiter::Adopt(const Entry& entry, const RedisReply& reply, Steady now) {
  const Quotas part = entry.tier->quotas().Divided(instances_, entry.tier->strict());
  std::array<Store::Shared, kRatesMax> shared{};
  for (std::size_t i = 0; i < part.size(); ++i) {
    const std::int64_t ahead_us = reply.integers[kDecisionNumbers + 2 * i];
    shared[i].ahead_ns = std::clamp<std::int64_t>(ahead_us, 0, kSpanMax / 1'000) * 1'000;
    shared[i].count = std::clamp<std::int64_t>(reply.integers[kDecisionNumbers + 2 * i + 1], 0, kCountMax);
  }
  local_.Adopt(entry.key, part, instances_, shared, now);
}

void RedisLimiter::TakeLockout(Entry& entry, const RedisReply& reply) {
  if (reply.kind != RedisReply::Kind::kList || reply.size < kLockoutNumbers) {
    if (reply.text.starts_with("NOSCRIPT") && SendAgain(entry)) return;
    if (entry.pending == nullptr) return;
    Failed(reply.text);
    DecideLocally(entry, Why::kError);
    return;
  }
  if (entry.decided) counters_->late.Add();
  if (entry.decided || entry.pending == nullptr) return;
  failures_ = 0;
  auto& pending = static_cast<LockoutPending&>(*entry.pending);
  pending.answer.allowed = reply.integers[0] == 1;
  pending.answer.failures =
      static_cast<std::uint32_t>(std::clamp<std::int64_t>(reply.integers[1], 0, kCountMax));
  pending.answer.retry_after = microseconds{std::max<std::int64_t>(0, reply.integers[2])};
  lockout_.Learn(entry.account, pending.answer, clock_.Now());
  pending.OnDecided();
}

void RedisLimiter::TakeHeartbeat(Steady sent_at, const RedisReply& reply) {
  const Steady now = clock_.Now();
  heartbeat_out_ = false;
  heartbeat_at_ = now + options_.heartbeat_interval;
  if (reply.kind == RedisReply::Kind::kList && reply.size >= 2) {
    NoteInstances(reply.integers[0]);
    if (local_.NoteSharedMemory(reply.integers[1], now)) {
      counters_->memory_lost.Add();
      log::Warn("Redis has lost its data; what is still spent here will be told to it", {});
    }
    if (breaker_ == BreakerState::kOpen && now - sent_at <= options_.deadline) Close();
  } else {
    Failed(reply.text);
  }
  if (breaker_ == BreakerState::kOpen) heartbeat_at_ = now + NextBackoff();
}

// Once, after the scripts.
bool RedisLimiter::SendAgain(Entry& entry) {
  if (entry.resent || entry.decided || (entry.pending == nullptr && entry.kind == Entry::Kind::kDecision))
    return false;
  if (scripts_out_ == 0) {
    LoadScripts();
    counters_->scripts_loaded.Add();
  }
  const Steady submitted = entry.submitted;
  const Steady deadline = entry.deadline;
  Entry& again = Enqueue(entry.pending);
  RedisPending* const pending = entry.pending;
  again = std::move(entry);
  again.pending = pending;
  again.submitted = submitted;
  again.deadline = deadline;
  again.resent = true;
  ++resent_;
  return true;
}

void RedisLimiter::DecideLocally(Entry& entry, Why why) {
  RedisPending* const pending = std::exchange(entry.pending, nullptr);
  pending->entry_ = nullptr;
  entry.decided = true;
  if (entry.kind == Entry::Kind::kDecision) {
    const Decision decision = Local(entry.key, *entry.tier, entry.cost, why);
    entry.admitted = decision.allowed;
    static_cast<DecisionPending&>(*pending).decision = decision;
  } else {
    static_cast<LockoutPending&>(*pending).answer = lockout_.Try(entry.account, clock_.Now());
  }
  pending->OnDecided();
}

// More instances hold at once; fewer only after all that may still be there had time to say so, as a Redis
// that has just come back knows nobody.
void RedisLimiter::NoteInstances(std::int64_t instances) {
  const Steady now = clock_.Now();
  instances = std::clamp<std::int64_t>(instances, 1, kInstancesMax);
  if (!std::exchange(instances_known_, true) || instances >= instances_) {
    instances_ = instances;
    fewer_since_.reset();
  } else if (!fewer_since_) {
    fewer_since_ = now;
  } else if (now - *fewer_since_ >= options_.instance_lifetime) {
    instances_ = instances;
    fewer_since_.reset();
  }
  counters_->instances.Set(static_cast<std::uint64_t>(instances_));
}

// --- connecting ----------------------------------------------------------------------------------

void RedisLimiter::Start() {
  Connect();
}

void RedisLimiter::Connect() {
  const std::vector<RedisAddress> known = endpoint_.Known();
  if (!known.empty()) {
    addresses_ = known;
  } else if (next_address_ % std::max<std::size_t>(1, addresses_.size()) == 0) {
    // Anew each time all were tried: the name may have moved.
    resolving_ = true;
    owner_.ResolveWanted();
    return;
  }
  Dial();
}

void RedisLimiter::Resolved(std::vector<RedisAddress> addresses) {
  resolving_ = false;
  addresses_ = std::move(addresses);
  next_address_ = 0;
  if (!link_ && !addresses_.empty()) Dial();
}

void RedisLimiter::ResolveFailed(const Error& error) {
  resolving_ = false;
  if (link_) return;
  log::Warn("Redis cannot be found", {{"cause", error.cause}});
  if (!addresses_.empty()) {
    Dial();
  } else {
    counters_->connect_failures.Add();
    retry_at_ = clock_.Now() + NextBackoff();
  }
}

void RedisLimiter::Dial() {
  link_ = std::make_unique<RedisLink>(endpoint_, addresses_[next_address_++ % addresses_.size()]);
  connecting_since_ = clock_.Now();
  watched_.reset();
  if (link_->state() == RedisLink::State::kLost) {
    Lost();
    return;
  }
  WatchLink();
  if (link_->state() == RedisLink::State::kReady) Begin();
}

void RedisLimiter::Begin() {
  ready_ = true;
  next_address_ = 0;
  counters_->connects.Add();
  SetBreaker(BreakerState::kOpen);
  LoadScripts();
  SendHeartbeat();
}

void RedisLimiter::WatchLink() {
  const bool output = link_->wants_output();
  if (watched_ == output) return;
  watched_ = output;
  owner_.Watch(link_->descriptor(), output);
}

void RedisLimiter::Lost() {
  const Steady now = clock_.Now();
  if (watched_) owner_.Unwatch(link_->descriptor());
  watched_.reset();
  const std::string cause = link_->cause().empty() ? "it does not answer" : link_->cause();
  link_.reset();
  const bool was_ready = std::exchange(ready_, false);
  if (was_ready) {
    log::Warn("the connection to Redis was lost", {{"cause", cause}});
    counters_->disconnects.Add();
    if (breaker_ == BreakerState::kClosed) counters_->opened.Add();
    if (now - closed_at_ >= kTrustAfter) backoff_ = {};
  } else {
    counters_->connect_failures.Add();
  }
  SetBreaker(BreakerState::kNoServer);
  heartbeat_out_ = false;
  fewer_since_.reset();
  const bool more_addresses = !was_ready && !addresses_.empty() && next_address_ % addresses_.size() != 0;
  retry_at_ = more_addresses ? now : now + NextBackoff();

  std::deque<Entry> unanswered;
  unanswered.swap(entries_);
  sent_ = 0;
  resent_ = 0;
  scripts_out_ = 0;
  failures_ = 0;
  counters_->in_flight.Set(0);
  for (const Entry& entry : unanswered) {
    if (entry.kind == Entry::Kind::kDecision)
      local_.ReturnDebts(entry.key, entry.tier->quotas(), entry.debts, now);
  }
  // Last, for they may submit anew.
  for (Entry& entry : unanswered) {
    if (entry.pending != nullptr) DecideLocally(entry, Why::kLost);
  }
}

// --- trust ---------------------------------------------------------------------------------------

void RedisLimiter::Failed(std::string_view why) {
  ++failures_;
  if (breaker_ != BreakerState::kClosed || failures_ < options_.failures_max) return;
  const Steady now = clock_.Now();
  if (now - closed_at_ >= kTrustAfter) backoff_ = {};
  counters_->opened.Add();
  SetBreaker(BreakerState::kOpen);
  if (!heartbeat_out_) heartbeat_at_ = now + NextBackoff();
  log::Warn("limits are decided without Redis", {{"cause", why}});
}

void RedisLimiter::Close() {
  failures_ = 0;
  closed_at_ = clock_.Now();
  SetBreaker(BreakerState::kClosed);
  log::Info("limits are decided by Redis", {{"instances", instances_}});
}

void RedisLimiter::SetBreaker(BreakerState state) {
  breaker_ = state;
  counters_->breaker.Set(static_cast<std::uint64_t>(state));
}

Steady::duration RedisLimiter::NextBackoff() {
  backoff_ = std::clamp<Steady::duration>(2 * backoff_, options_.backoff_min, options_.backoff_max);
  return backoff_ + backoff_ * std::uniform_int_distribution<int>{-kVaryPercent, kVaryPercent}(random_) / 100;
}

void RedisLimiter::Check() {
  const Steady now = clock_.Now();
  Expire(now);
  if (!link_) {
    if (!resolving_ && now >= retry_at_) Connect();
    return;
  }
  if (!ready_) {
    if (now - connecting_since_ >= options_.connect_timeout) Lost();
    return;
  }
  if (sent_ > 0 && now - entries_.front().submitted >= options_.probe_timeout) {
    Lost();
  } else if (!heartbeat_out_ && now >= heartbeat_at_) {
    SendHeartbeat();
  }
}

void RedisLimiter::Expire(Steady now) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.pending == nullptr) continue;
    if (now >= entry.deadline) {
      Failed("it is too slow");
      DecideLocally(entry, Why::kTimeout);
    } else if (resent_ == 0) {
      return;
    }
  }
}

Steady RedisLimiter::next_check() const {
  if (!link_) return resolving_ ? Steady::max() : retry_at_;
  if (!ready_) return connecting_since_ + options_.connect_timeout;
  Steady next = heartbeat_out_ ? Steady::max() : heartbeat_at_;
  if (sent_ > 0) next = std::min(next, entries_.front().submitted + options_.probe_timeout);
  for (const Entry& entry : entries_) {
    if (entry.pending == nullptr) continue;
    next = std::min(next, entry.deadline);
    if (resent_ == 0) break;
  }
  return next;
}

RedisLimiterStats RedisLimiter::Stats() const {
  const Counters& c = *counters_;
  RedisLimiterStats stats{.breaker = static_cast<BreakerState>(c.breaker.Get()),
                          .instances = static_cast<std::uint32_t>(c.instances.Get()),
                          .in_flight = static_cast<std::uint32_t>(c.in_flight.Get()),
                          .shared_allowed = c.shared_allowed.Get(),
                          .shared_limited = c.shared_limited.Get(),
                          .local_allowed = c.local_allowed.Get(),
                          .local_limited = c.local_limited.Get(),
                          .away = c.away.Get(),
                          .timeouts = c.timeouts.Get(),
                          .errors = c.errors.Get(),
                          .lost = c.lost.Get(),
                          .full = c.full.Get(),
                          .late = c.late.Get(),
                          .given_up = c.given_up.Get(),
                          .connects = c.connects.Get(),
                          .connect_failures = c.connect_failures.Get(),
                          .disconnects = c.disconnects.Get(),
                          .opened = c.opened.Get(),
                          .scripts_loaded = c.scripts_loaded.Get(),
                          .memory_lost = c.memory_lost.Get(),
                          .batches = c.batches.Get(),
                          .batch_max = c.batch_max.Get(),
                          .latency_max_us = c.latency_max_us.Get()};
  for (std::size_t i = 0; i < kBatchClasses; ++i) stats.batch_sizes[i] = c.batch_sizes[i].Get();
  for (std::size_t i = 0; i < kLatencyClasses; ++i) stats.latencies[i] = c.latencies[i].Get();
  return stats;
}

}  // namespace gathering::limits
