#pragma once
// Brings events from the bus to the streams: each loop gets every event once, and gives it to those of its
// streams that want it.
//
// The bus calls on the thread that reads the log; from there to a loop it is a list under a lock and at most
// one wake-up for what comes together.  A loop that does not keep up with more than kPendingMax events has
// its streams closed: they go on from the log.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/guarded.h"
#include "core/config/config.h"
#include "core/events/bus.h"
#include "daemon/loop/loop.h"

namespace gathering::streams {

inline constexpr std::size_t kPendingMax = 10'000;

// An event on its way to the streams of one loop; what several of them send is made once.
class Parcel {
 public:
  explicit Parcel(const events::Event& event) : event_(event) {}

  [[nodiscard]] const events::Event& event() const { return event_; }
  [[nodiscard]] const std::string& for_sse();
  [[nodiscard]] const std::string& for_topics();     // type, data and timestamp
  [[nodiscard]] const std::string& for_dashboard();  // and whose it is
  [[nodiscard]] const std::vector<std::string>& topics();

 private:
  const events::Event& event_;
  std::string sse_;
  std::string for_topics_;
  std::string for_dashboard_;
  std::vector<std::string> topics_;
};

// A stream.  Belongs to the loop on which it joined.
class Listener {
 public:
  explicit Listener(std::string token_sha256) : token_sha256_(std::move(token_sha256)) {}

  virtual void OnEvent(Parcel& parcel) = 0;
  virtual void OnTurn() = 0;     // after all of a turn's events
  virtual void OnRevoked() = 0;  // the token it was opened with does not hold any more
  virtual void OnLost() = 0;     // events were left out: it cannot go on

 protected:
  ~Listener() = default;

 private:
  friend class Hub;
  const std::string token_sha256_;
};

class Hub;

// What a stream is made of: where it belongs, its bounds, and whose it is.
struct StreamParts {
  Hub& hub;
  loop::Loop& loop;
  StreamsConfig config;
  Clock::Steady ends_at;     // the token's time is over
  std::string token_sha256;  // in hexadecimal digits
};

struct HubStats {
  std::uint32_t listeners = 0;
  std::uint64_t delivered = 0;  // events to loops
  std::uint64_t overruns = 0;   // of a loop
};

class Hub {
 public:
  explicit Hub(events::Bus& bus);
  ~Hub();  // the loops have ended
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // On a loop's thread, before its first stream; until the loop ends.
  void Attach(loop::Loop& loop);

  // On an attached loop's thread.
  void Join(Listener& listener);
  void Leave(Listener& listener);
  [[nodiscard]] std::int64_t position() const;  // of the last event this loop has given out

  [[nodiscard]] HubStats Stats() const;

 private:
  struct Pending {
    std::vector<events::EventPointer> events;
    bool posted = false;
    bool overrun = false;
  };
  struct Lane final : loop::Posted {
    Lane(Hub& hub_in, std::shared_ptr<loop::Inbox> inbox_in) : hub(hub_in), inbox(std::move(inbox_in)) {}
    void OnLoop() override { hub.GiveOut(*this); }

    Hub& hub;
    const std::shared_ptr<loop::Inbox> inbox;
    Guarded<Pending> pending;
    std::vector<Listener*> listeners;  // null: left while events were given out
    bool giving_out = false;
    std::int64_t position = 0;
  };

  void OnEvents(const events::Batch& batch);
  void GiveOut(Lane& lane);

  static thread_local Lane* here_;  // of this thread's loop

  Guarded<std::vector<std::shared_ptr<Lane>>> lanes_;
  std::atomic<std::uint32_t> listeners_ = 0;
  std::atomic<std::uint64_t> delivered_ = 0;
  std::atomic<std::uint64_t> overruns_ = 0;
  events::Subscription subscription_;
};

}  // namespace gathering::streams
