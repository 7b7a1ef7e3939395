#pragma once
// The API's answers that are remembered, as the text that goes to clients, and dropped when what they tell of
// changes: on this daemon before the change is answered, on all others as soon as they hear of it.
//
// What makes that hold: an answer is given from memory only while the log is being followed (OnCurrent was
// called a short while ago); otherwise the database is asked, and what was known of the thing is dropped. One
// that was asked for before a change is not kept after it, and questions about one thing are put to the
// database one after the other (core/cache/cache.h).  So what a daemon says of a thing is never older than
// what it said before.
//
// The authority is PostgreSQL: nothing here is needed for an answer, and everything may be dropped.
//
// Safe from any thread; Get must run where handlers may run (daemon/loop/fiber.h).
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/cache/cache.h"
#include "core/config/config.h"
#include "core/events/changes.h"

namespace gathering {

// What a client gets, whoever asks.
struct Answer {
  std::string body;  // JSON
  std::string etag;  // with its quotes; follows from the body
  std::chrono::nanoseconds holds_for = std::chrono::nanoseconds::max();  // if nothing changes
  std::exception_ptr refusal = nullptr;                                  // instead; never kept

  // With the tag of this body.
  [[nodiscard]] static Answer Of(std::string body);
};

class Answers final : public events::ChangeListener {
 public:
  enum class Kind : std::uint8_t { kAgents, kSessions, kCircles, kPersonas, kProviders, kModels };
  static constexpr std::size_t kKinds = 6;

  using Load = std::function<Answer()>;

  // `lease`: how long after OnCurrent the log is believed to be followed.
  Answers(const CachesConfig& config, const Clock& clock, std::chrono::milliseconds lease);
  ~Answers();

  // What is known, else what `load` says; callers of one key load once.  Throws what it throws.
  [[nodiscard]] std::shared_ptr<const Answer> Get(Kind kind, std::string_view key, const Load& load);

  // What the database says now, which is known from then on.
  [[nodiscard]] std::shared_ptr<const Answer> Renew(Kind kind, std::string_view key, const Load& load);

  // Other bounds and lifetimes.
  void Reload(const CachesConfig& config);

  void OnChange(const events::Change& change) override;
  void OnCurrent(Clock::Steady as_of) override;
  void OnLost() override;

  // Whether answers are given from memory now, and how many were not because they could not be.
  [[nodiscard]] bool current() const;
  [[nodiscard]] std::uint64_t bypassed() const { return bypassed_.load(std::memory_order_relaxed); }

  [[nodiscard]] std::vector<cache::Observed*> stores() const;

 private:
  struct Weigher {
    std::uint64_t operator()(const std::string& key, const std::shared_ptr<const Answer>& answer) const;
  };
  struct Lifetime {
    std::chrono::nanoseconds operator()(const std::shared_ptr<const Answer>& answer) const {
      return answer->holds_for;
    }
  };
  using Store = cache::Cache<std::string, std::shared_ptr<const Answer>, cache::Hash, Weigher, Lifetime>;

  [[nodiscard]] Store& StoreOf(Kind kind) const { return *stores_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] std::shared_ptr<const Answer> Ask(Kind kind, std::string_view key, const Load& load,
                                                  Store::Want want);
  void Forget(Kind kind, std::string_view key);
  void Clear();

  const Clock& clock_;
  const std::chrono::milliseconds lease_;
  std::array<std::unique_ptr<Store>, kKinds> stores_;
  std::atomic<Clock::Steady> current_until_{Clock::Steady::min()};
  std::atomic<std::uint64_t> bypassed_{0};
};

}  // namespace gathering
