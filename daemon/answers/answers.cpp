#include "daemon/answers/answers.h"

#include <iterator>

#include "core/auth/token.h"
#include "daemon/loop/fiber.h"

namespace gathering {
namespace {

constexpr std::size_t kTagDigits = 32;  // 128 bits: equal tags of different answers do not happen

struct Row {
  Answers::Kind kind;
  std::string_view name;
  CacheConfig CachesConfig::*config;
};
constexpr Row kRows[] = {
    {Answers::Kind::kAgents, "agents", &CachesConfig::agents},
    {Answers::Kind::kSessions, "sessions", &CachesConfig::sessions},
    {Answers::Kind::kCircles, "circles", &CachesConfig::circles},
    {Answers::Kind::kPersonas, "personas", &CachesConfig::personas},
    {Answers::Kind::kProviders, "providers", &CachesConfig::providers},
    {Answers::Kind::kModels, "models", &CachesConfig::models},
};
static_assert(std::size(kRows) == Answers::kKinds);

cache::Options OptionsOf(std::string_view name, const CacheConfig& config) {
  return {.name = std::string{name},
          .policy = config.policy,
          .bounds = config.bounds(),
          .ttl = config.ttl};
}

// Lets other requests of this loop go on meanwhile.
struct FiberWait {
  template <class V>
  void operator()(cache::Flight<V>& flight) const {
    if (!loop::OnFiber()) return cache::BlockingWait{}(flight);
    loop::SleepUntilWoken({.what = "answer another request loads"},
                          [&](std::function<void()> wake) { flight.OnLanding(std::move(wake)); });
  }
};

}  // namespace

Answer Answer::Of(std::string body) {
  const std::string digest = auth::Hex(auth::Sha256Of(body));
  return {.body = std::move(body), .etag = '"' + digest.substr(0, kTagDigits) + '"'};
}

std::uint64_t Answers::Weigher::operator()(const std::string& key,
                                           const std::shared_ptr<const Answer>& answer) const {
  constexpr std::uint64_t kCounts = 16;  // of the shared pointer
  return key.capacity() + sizeof(Answer) + kCounts + answer->body.capacity() + answer->etag.capacity();
}

Answers::Answers(const CachesConfig& config, const Clock& clock, std::chrono::milliseconds lease)
    : clock_(clock), lease_(lease) {
  for (const Row& row : kRows) {
    stores_[static_cast<std::size_t>(row.kind)] =
        std::make_unique<Store>(OptionsOf(row.name, config.*row.config), clock);
  }
}

Answers::~Answers() = default;

void Answers::Reload(const CachesConfig& config) {
  for (const Row& row : kRows) {
    const CacheConfig& next = config.*row.config;
    StoreOf(row.kind).SetBounds(next.bounds());
    StoreOf(row.kind).SetLifetimes(next.ttl, std::chrono::milliseconds{0});
  }
}

bool Answers::current() const {
  return clock_.NowRoughly() < current_until_.load(std::memory_order_acquire);
}

std::shared_ptr<const Answer> Answers::Get(Kind kind, std::string_view key, const Load& load) {
  if (current()) return Ask(kind, key, load, Store::Want::kKnown);
  bypassed_.fetch_add(1, std::memory_order_relaxed);
  return Ask(kind, key, load, Store::Want::kNew);
}

std::shared_ptr<const Answer> Answers::Renew(Kind kind, std::string_view key, const Load& load) {
  return Ask(kind, key, load, Store::Want::kNew);
}

std::shared_ptr<const Answer> Answers::Ask(Kind kind, std::string_view key, const Load& load,
                                           Store::Want want) {
  return *StoreOf(kind).Load(
      key, [&] { return std::optional{std::make_shared<const Answer>(load())}; }, FiberWait{}, want);
}

void Answers::Forget(Kind kind, std::string_view key) {
  if (key.empty()) {
    StoreOf(kind).Clear();
  } else {
    StoreOf(kind).Invalidate(key);
  }
}

void Answers::OnChange(const events::Change& change) {
  switch (change.subject) {
    case events::Subject::kAgent:
      Forget(Kind::kAgents, change.key);
      Forget(Kind::kSessions, change.key);
      return;
    case events::Subject::kCircle:
      return Forget(Kind::kCircles, change.key);
    case events::Subject::kCatalog:
      StoreOf(Kind::kPersonas).Clear();
      StoreOf(Kind::kProviders).Clear();
      StoreOf(Kind::kModels).Clear();
      return;
    case events::Subject::kAll:
      return Clear();
  }
}

void Answers::OnCurrent(Clock::Steady as_of) {
  // Whoever looked just before the loss may have asked, and kept the answer, after it.
  if (current_until_.load(std::memory_order_relaxed) == Clock::Steady::min()) Clear();
  current_until_.store(as_of + lease_, std::memory_order_release);
}

void Answers::OnLost() {
  current_until_.store(Clock::Steady::min(), std::memory_order_release);
  Clear();
}

void Answers::Clear() {
  for (const auto& store : stores_) store->Clear();
}

std::vector<cache::Observed*> Answers::stores() const {
  std::vector<cache::Observed*> all;
  for (const auto& store : stores_) all.push_back(store.get());
  return all;
}

}  // namespace gathering
