#include "core/events/consumers.h"

#include <pthread.h>

#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/db/queries.h"

namespace gathering::events {
namespace {

// What a transaction is to take.
struct Share {
  std::int64_t up_to = 0;
  std::int64_t events = 0;

  static void Fields(auto& self, auto& visit) {
    visit("up_to", self.up_to);
    visit("events", self.events);
  }
};

struct Taken {
  std::int64_t position = 0;
  std::int64_t events = 0;
};

// None: another instance is at it.
std::optional<Taken> Take(db::Tx& tx, const Consumer& consumer, std::int64_t up_to, std::int64_t events_max) {
  const auto position = tx.Maybe<std::int64_t>(sql::kEventConsumersClaim, consumer.name);
  if (!position) return std::nullopt;
  const auto share = tx.One<Share>(sql::kEventConsumersShare, *position, up_to, events_max);
  if (share.events == 0) return Taken{*position, 0};
  consumer.handle(tx, {.after = *position, .up_to = share.up_to});
  tx.Run(sql::kEventConsumersMove, consumer.name, share.up_to);
  return Taken{share.up_to, share.events};
}

}  // namespace

Consumers::Consumers(db::Pool& pool, std::function<std::optional<std::int64_t>()> settled,
                     std::vector<Consumer> consumers, ConsumersOptions options)
    : pool_(pool), settled_(std::move(settled)), consumers_(std::move(consumers)), options_(options) {
  for (const Consumer& consumer : consumers_) stats_.push_back({.name = consumer.name});
}

Consumers::~Consumers() {
  thread_.request_stop();
}

void Consumers::Start() {
  pool_.Write([this](db::Tx& tx) {
    for (const Consumer& consumer : consumers_) tx.Run(sql::kEventConsumersJoin, consumer.name);
  });
  thread_ = std::jthread{[this](const std::stop_token& stop) { Run(stop); }};
}

std::vector<ConsumerStats> Consumers::Stats() const {
  std::scoped_lock lock{mutex_};
  return stats_;
}

void Consumers::Run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "consumers");
  std::int64_t all_are_at = -1;
  while (!stop.stop_requested()) {
    const std::optional<std::int64_t> up_to = settled_();
    if (up_to > all_are_at) {
      bool all = true;
      for (std::size_t i = 0; i < consumers_.size(); ++i) all = TryToCatchUp(i, *up_to, stop) && all;
      if (all) all_are_at = *up_to;
    }
    std::unique_lock lock{mutex_};
    rest_.wait_for(lock, stop, options_.poll_every, [] { return false; });
  }
}

bool Consumers::TryToCatchUp(std::size_t i, std::int64_t up_to, const std::stop_token& stop) {
  std::string cause;
  try {
    return CatchUp(i, up_to, stop);
  } catch (const Error& error) {
    cause = error.reason();
  } catch (const std::exception& error) {
    cause = error.what();
  }
  log::Warn("a consumer of events failed; trying again",
            {{"consumer", consumers_[i].name}, {"cause", cause}});
  std::scoped_lock lock{mutex_};
  ++stats_[i].failures;
  return false;
}

bool Consumers::CatchUp(std::size_t i, std::int64_t up_to, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const std::optional<Taken> taken =
        pool_.Write([&](db::Tx& tx) { return Take(tx, consumers_[i], up_to, options_.events_max); });
    if (!taken) return false;
    {
      std::scoped_lock lock{mutex_};
      stats_[i].position = taken->position;
      stats_[i].taken += static_cast<std::uint64_t>(taken->events);
    }
    if (taken->events < options_.events_max) return true;
  }
  return false;
}

}  // namespace gathering::events
