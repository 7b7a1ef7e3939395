#pragma once
// Durable consumers of the log: each takes every event once in effect, in the log's order, whatever ends in
// between.
//
// A consumer's place in the log is a row.  What it makes of a span of events and its new place are one
// transaction, so that either both are there or neither.  Every instance tries; while one is at it the others
// pass the row over (FOR UPDATE SKIP LOCKED).  What cannot be handled is tried again and never passed over,
// and the log keeps its days until all consumers have taken them.  A new consumer begins with the oldest
// event that is kept.
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/db/pool.h"
#include "core/db/tx.h"
#include "core/events/log.h"

namespace gathering::events {

struct Consumer {
  std::string name;  // of its row; for good
  // The effect.  May be run again when its transaction failed, so everything it does is in `tx`.
  std::function<void(db::Tx& tx, const Span& span)> handle;
};

struct ConsumersOptions {
  std::chrono::milliseconds poll_every{1'000};
  std::int64_t events_max = 1'000;  // in a transaction, for whose length readers of the log are held up
};

struct ConsumerStats {
  std::string name;
  std::int64_t position = 0;   // as this instance saw it last
  std::uint64_t taken = 0;     // events, by this instance
  std::uint64_t failures = 0;  // attempts that threw
};

// A thread that takes what there is.  Stats is safe from any thread.
class Consumers {
 public:
  // `settled` says up to where the log is complete (LogReaderStats::position), from the thread.
  Consumers(db::Pool& pool, std::function<std::optional<std::int64_t>()> settled,
            std::vector<Consumer> consumers, ConsumersOptions options = {});
  ~Consumers();  // stops; a transaction under way is finished
  Consumers(const Consumers&) = delete;
  Consumers& operator=(const Consumers&) = delete;

  // The schema is current.
  void Start();

  [[nodiscard]] std::vector<ConsumerStats> Stats() const;

 private:
  void Run(const std::stop_token& stop);
  // Whether the consumer is there; otherwise it failed, or another instance is at it.
  bool TryToCatchUp(std::size_t i, std::int64_t up_to, const std::stop_token& stop);
  bool CatchUp(std::size_t i, std::int64_t up_to, const std::stop_token& stop);

  db::Pool& pool_;
  const std::function<std::optional<std::int64_t>()> settled_;
  const std::vector<Consumer> consumers_;
  const ConsumersOptions options_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable_any rest_;
  std::vector<ConsumerStats> stats_;
  std::jthread thread_;
};

}  // namespace gathering::events
