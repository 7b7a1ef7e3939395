#include "core/db/pool.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/db/connection.h"
#include "core/db/queries.h"

namespace gathering::db {
namespace {

using std::chrono::milliseconds;
using Steady = Clock::Steady;

constexpr milliseconds kConnectBackoffMin{100};
constexpr milliseconds kConnectBackoffMax{2'000};
constexpr milliseconds kUncheckedIdleMax{1'000};  // idle for longer: asked for a sign of life before use
constexpr milliseconds kPingTimeout{1'000};
constexpr int kConflictRetriesMax = 3;
constexpr milliseconds kConflictDelayMax{10};  // times the number of the retry
constexpr milliseconds kServerGrace{500};      // beyond the statement's timeout; then the connection is cut
constexpr milliseconds kGuardInterval{200};
constexpr double kLifetimeJitter = 0.1;

Error DeadlinePassed() {
  return Error{Code::kTimeout, "there was not enough time", "the deadline passed before the statement"};
}

}  // namespace

ConnectionOptions ToConnectionOptions(const PoolOptions& options) {
  return {.url = options.url,
          .application_name = options.application_name,
          .connect_timeout = options.connect_timeout,
          .tcp_user_timeout = options.tcp_user_timeout,
          .statement_timeout = options.statement_timeout,
          .lock_timeout = options.lock_timeout,
          .idle_in_transaction_timeout = options.idle_in_transaction_timeout,
          .tells = true};
}

// Nothing that talks to the server happens under the mutex.
class Pool::State {
 public:
  State(PoolOptions options, const Clock& clock, QueryStatistics* statistics);
  ~State();

  void Run(Mode mode, const std::function<void(Tx&)>& work, std::optional<Steady> deadline);
  PoolStats Stats() const;

 private:
  class Caller;
  class Lease;
  class Transaction;

  // A place in the pool: counted from before its connection is made until it is given up.
  struct Slot {
    std::unique_ptr<Connection> connection;
    Steady retire_at{};
    Steady idle_since{};
    // While the server is being waited for; guarded by mutex_.
    std::optional<Steady> overdue_at;
    const log::Context* writes_for = nullptr;
  };
  // Who waits for a slot.  Lives on the waiting thread's stack.
  struct Waiter {
    std::condition_variable wake;
    std::unique_ptr<Slot> slot;  // without a connection: the permission to make one
    bool refused = false;        // the database is away, or the pool is closing
  };
  enum class Again : std::uint8_t { kNo, kConflict, kNewConnection };

  std::unique_ptr<Slot> Acquire(std::optional<Steady> deadline);
  std::unique_ptr<Slot> Wait(Steady give_up_at, std::optional<Steady> deadline);
  bool Healthy(Slot& slot);
  std::unique_ptr<Slot> Connect(std::unique_ptr<Slot> slot);
  void Release(std::unique_ptr<Slot> slot);
  void SetOverdue(Slot& slot, std::optional<Steady> moment);
  void PauseBeforeRetry(int retry);
  void Guard();

  // Under mutex_:
  void Serve();
  void EnterLease(Slot& slot);
  void NoteConnectFailure(const Error& error);
  bool MayConnect(Steady now) const;
  std::vector<std::unique_ptr<Slot>> TakeRetired(Steady now);
  double Random();  // 0 to 1

  const PoolOptions options_;
  const ConnectionOptions connection_options_;
  const Clock& clock_;
  QueryStatistics* const statistics_;

  mutable std::mutex mutex_;                // guards everything below
  std::deque<std::unique_ptr<Slot>> idle_;  // the most recently used at the back
  std::deque<Waiter*> waiters_;             // in order of arrival
  std::vector<Slot*> leased_;
  std::uint32_t callers_ = 0;     // threads inside Run
  std::uint32_t total_ = 0;       // slots: idle, leased or being connected
  std::uint32_t connecting_ = 0;  // of these, the ones being connected
  std::uint32_t failures_ = 0;    // connects failed in a row
  Steady connect_after_{};        // while failures_ > 0
  std::string last_failure_;
  bool stopping_ = false;
  bool guard_asleep_ = false;
  bool guard_stopping_ = false;
  std::condition_variable stopping_wake_;
  std::condition_variable drained_;
  std::condition_variable guard_wake_;
  std::minstd_rand random_{std::random_device{}()};
  PoolStats stats_;
  std::jthread guard_;
};

// A thread inside Run; the pool outlives it.
class Pool::State::Caller {
 public:
  explicit Caller(State& state) : state_(state) {
    std::scoped_lock lock{state_.mutex_};
    ++state_.callers_;
  }
  ~Caller() {
    std::scoped_lock lock{state_.mutex_};
    if (--state_.callers_ == 0) state_.drained_.notify_all();
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

 private:
  State& state_;
};

// A slot in use; the destructor gives it back.
class Pool::State::Lease {
 public:
  Lease(State& state, std::optional<Steady> deadline) : state_(state), slot_(state.Acquire(deadline)) {}
  ~Lease() { state_.Release(std::move(slot_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Slot& operator*() const { return *slot_; }

 private:
  State& state_;
  std::unique_ptr<Slot> slot_;
};

class Pool::State::Transaction final : public Tx {
 public:
  Transaction(State& state, Slot& slot, Mode mode, std::optional<Steady> deadline)
      : state_(state),
        slot_(slot),
        mode_(mode),
        deadline_(deadline),
        timeout_(state.options_.statement_timeout) {}
  ~Transaction() override { Rollback(); }

  void Begin();
  Rows Execute(const Query& query, const Params& params) override;
  std::vector<std::function<void()>> Commit();  // answers what is to run afterwards
  void Rollback() noexcept;
  Again AfterFailure() const;

 private:
  // Calls the server, with the guard watching.
  template <class F>
  auto Call(F&& call) {
    struct Watch {
      Transaction& tx;
      explicit Watch(Transaction& t) : tx(t) {
        if (tx.timeout_.count() > 0) {
          tx.state_.SetOverdue(tx.slot_, tx.state_.clock_.Now() + tx.timeout_ + kServerGrace);
        }
      }
      ~Watch() { tx.state_.SetOverdue(tx.slot_, std::nullopt); }
    } watch{*this};
    return call(*slot_.connection);
  }
  std::optional<milliseconds> ShorterTimeout() const;
  static std::string TimeoutSetting(milliseconds timeout) {
    return fmt::format("SET LOCAL statement_timeout = {}", timeout.count());
  }

  State& state_;
  Slot& slot_;
  const Mode mode_;
  const std::optional<Steady> deadline_;
  milliseconds timeout_;  // of the next statement, as the server knows it; zero: none
  bool begun_ = false;
  bool in_doubt_ = false;
};

// What is left until the deadline, when the server should be told.  A timeout is set anew only when
// it would be halved: a transaction of many statements then sends few of these and overshoots little.
std::optional<milliseconds> Pool::State::Transaction::ShorterTimeout() const {
  if (!deadline_) return std::nullopt;
  const auto left = std::chrono::duration_cast<milliseconds>(*deadline_ - state_.clock_.Now());
  if (left.count() <= 0) throw DeadlinePassed();
  const bool first = !begun_;
  if (timeout_.count() > 0 && left >= (first ? timeout_ : timeout_ / 2)) return std::nullopt;
  return left;
}

void Pool::State::Transaction::Begin() {
  std::string script = mode_ == Mode::kRead ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                                            : "BEGIN ISOLATION LEVEL READ COMMITTED; "
                                              "SET LOCAL synchronous_commit = off";
  if (const auto shorter = ShorterTimeout()) {
    timeout_ = *shorter;
    script += "; " + TimeoutSetting(timeout_);
  }
  begun_ = true;
  Call([&](Connection& connection) { connection.Script(script); });
}

Rows Pool::State::Transaction::Execute(const Query& query, const Params& params) {
  if (const auto shorter = ShorterTimeout()) {
    timeout_ = *shorter;
    Call([&](Connection& connection) { connection.Script(TimeoutSetting(timeout_)); });
  }
  ++statements_;
  Tell(query.name);
  const Steady start = state_.clock_.Now();
  const auto note = [&](bool failed) {
    const Steady::duration run = state_.clock_.Now() - start;
    if (state_.statistics_ != nullptr) state_.statistics_->Note(query, {.run = run}, failed);
    if (costs_ != nullptr) costs_->Note(query, run);
  };
  try {
    Rows rows = Call([&](Connection& connection) { return connection.Execute(query, params); });
    note(false);
    return rows;
  } catch (const Error&) {
    note(true);
    throw;
  }
}

std::vector<std::function<void()>> Pool::State::Transaction::Commit() {
  Connection& connection = *slot_.connection;
  // The server would answer COMMIT with a silent rollback.
  if (connection.failure() != Failure::kNone) {
    throw Error{Code::kInternal, "a failed statement was ignored", "commit after a failed statement"};
  }
  Tell(kCommit);
  bool committed = false;
  try {
    Call([](Connection& c) { c.Script("COMMIT"); });
    begun_ = false;
    committed = true;
    if (mode_ == Mode::kWrite) Call([](Connection& c) { c.Execute(sql::kCommitBarrier, {}); });
  } catch (const Error& error) {
    in_doubt_ = mode_ == Mode::kWrite && (committed || connection.failure() == Failure::kLost);
    if (!in_doubt_) throw;
    throw Error{Code::kInDoubt, "it is not known whether the change was made", error.cause};
  }
  return std::move(after_commit_);
}

void Pool::State::Transaction::Rollback() noexcept {
  Connection& connection = *slot_.connection;
  if (!std::exchange(begun_, false) || connection.failure() == Failure::kLost) return;
  try {
    Call([](Connection& c) { c.Script("ROLLBACK"); });
  } catch (const Error& error) {
    log::Warn("rollback failed", {{"cause", error.cause}});
    connection.Abandon();
  }
}

Pool::State::Again Pool::State::Transaction::AfterFailure() const {
  switch (slot_.connection->failure()) {
    case Failure::kNone:
    case Failure::kStatement:
      return Again::kNo;
    case Failure::kConflict:
      return in_doubt_ ? Again::kNo : Again::kConflict;
    case Failure::kStale:
    case Failure::kLost:
      return in_doubt_ ? Again::kNo : Again::kNewConnection;
  }
  return Again::kNo;
}

Pool::State::State(PoolOptions options, const Clock& clock, QueryStatistics* statistics)
    : options_(std::move(options)),
      connection_options_(ToConnectionOptions(options_)),
      clock_(clock),
      statistics_(statistics) {
  guard_ = std::jthread{[this] { Guard(); }};
}

Pool::State::~State() {
  std::unique_lock lock{mutex_};
  stopping_ = true;
  Serve();
  stopping_wake_.notify_all();
  drained_.wait(lock, [this] { return callers_ == 0; });
  guard_stopping_ = true;
  guard_wake_.notify_all();
  lock.unlock();
  guard_.join();
}

void Pool::State::Run(Mode mode, const std::function<void(Tx&)>& work, std::optional<Steady> deadline) {
  const Caller caller{*this};
  int conflicts = 0;
  bool reconnected = false;
  for (;;) {
    std::vector<std::function<void()>> actions;
    Again again = Again::kNo;
    {
      Lease lease{*this, deadline};
      Transaction tx{*this, *lease, mode, deadline};
      try {
        tx.Begin();
        work(tx);
        actions = tx.Commit();
      } catch (const Error&) {
        again = tx.AfterFailure();
        const bool allowed = again == Again::kConflict        ? conflicts < kConflictRetriesMax
                             : again == Again::kNewConnection ? !reconnected
                                                              : false;
        if (!allowed) throw;
      }
    }
    if (again == Again::kNo) {
      for (const auto& action : actions) action();
      return;
    }
    if (again == Again::kConflict) PauseBeforeRetry(++conflicts);
    if (again == Again::kNewConnection) reconnected = true;
    std::scoped_lock lock{mutex_};
    ++stats_.retries;
  }
}

void Pool::State::PauseBeforeRetry(int retry) {
  std::unique_lock lock{mutex_};
  const std::chrono::duration<double, std::milli> pause = kConflictDelayMax * retry * Random();
  stopping_wake_.wait_for(lock, pause, [this] { return stopping_; });
}

// Takes turns between waiting for a slot and finding out that its connection is of no use.
std::unique_ptr<Pool::State::Slot> Pool::State::Acquire(std::optional<Steady> deadline) {
  const Steady start = clock_.Now();
  Steady give_up_at = start + options_.acquire_timeout;
  if (deadline) give_up_at = std::min(give_up_at, *deadline);
  for (;;) {
    std::unique_ptr<Slot> slot = Wait(give_up_at, deadline);
    if (!slot->connection) slot = Connect(std::move(slot));
    if (!slot) continue;
    if (Healthy(*slot)) {
      slot->connection->ClearFailure();
      std::scoped_lock lock{mutex_};
      ++stats_.acquired;
      stats_.waited += std::chrono::duration_cast<std::chrono::microseconds>(clock_.Now() - start);
      return slot;
    }
    Release(std::move(slot));
  }
}

std::unique_ptr<Pool::State::Slot> Pool::State::Wait(Steady give_up_at, std::optional<Steady> deadline) {
  std::vector<std::unique_ptr<Slot>> retired;  // closed after the lock is gone
  std::unique_lock lock{mutex_};
  retired = TakeRetired(clock_.Now());
  Waiter self;
  waiters_.push_back(&self);
  Serve();
  if (!self.slot && !self.refused && waiters_.size() > options_.waiters_max) {
    std::erase(waiters_, &self);
    ++stats_.refused;
    throw Unavailable("the database is busy", kRetryAfter,
                      "waiters_max callers already wait for a connection");
  }
  while (!self.slot && !self.refused) {
    const Steady now = clock_.Now();
    Steady until = give_up_at;
    if (failures_ > 0 && now < connect_after_) until = std::min(until, connect_after_);
    const bool timed_out = self.wake.wait_for(lock, until - now) == std::cv_status::timeout;
    if (self.slot || self.refused) break;
    if (timed_out && until == give_up_at) {
      std::erase(waiters_, &self);
      ++stats_.acquire_timeouts;
      if (deadline && give_up_at == *deadline) throw DeadlinePassed();
      throw Unavailable("the database is busy", kRetryAfter, "no connection became free in time");
    }
    Serve();
  }
  if (self.refused) {
    throw Unavailable("the database is away", kRetryAfter, stopping_ ? "the pool is closing" : last_failure_);
  }
  if (self.slot->connection) EnterLease(*self.slot);
  return std::move(self.slot);
}

bool Pool::State::Healthy(Slot& slot) {
  const Steady now = clock_.Now();
  if (slot.connection->Quiet() && now - slot.idle_since <= kUncheckedIdleMax) return true;
  SetOverdue(slot, now + kPingTimeout);
  const bool alive = slot.connection->Ping();
  SetOverdue(slot, std::nullopt);
  return alive;
}

// Answers nothing when connecting failed but other connections may soon be free.
std::unique_ptr<Pool::State::Slot> Pool::State::Connect(std::unique_ptr<Slot> slot) {
  try {
    slot->connection = std::make_unique<Connection>(connection_options_);
  } catch (const Error& error) {
    std::scoped_lock lock{mutex_};
    NoteConnectFailure(error);
    if (total_ > 0) return nullptr;
    throw;
  }
  std::scoped_lock lock{mutex_};
  const Steady now = clock_.Now();
  const std::chrono::duration<double> lifetime = options_.lifetime_max * (1 - kLifetimeJitter * Random());
  slot->retire_at = now + std::chrono::duration_cast<Steady::duration>(lifetime);
  slot->idle_since = now;
  --connecting_;
  failures_ = 0;
  ++stats_.connects;
  EnterLease(*slot);
  Serve();
  return slot;
}

void Pool::State::NoteConnectFailure(const Error& error) {
  const std::uint32_t doublings = std::min<std::uint32_t>(failures_, 16);
  const milliseconds backoff = std::min(kConnectBackoffMax, kConnectBackoffMin * (1 << doublings));
  const std::chrono::duration<double, std::milli> varied = backoff * (0.5 + 0.5 * Random());
  connect_after_ = clock_.Now() + std::chrono::duration_cast<Steady::duration>(varied);
  last_failure_ = error.cause;
  ++failures_;
  ++stats_.connect_failures;
  --connecting_;
  --total_;
  Serve();
}

void Pool::State::EnterLease(Slot& slot) {
  leased_.push_back(&slot);
  if (guard_asleep_) guard_wake_.notify_one();
}

void Pool::State::Release(std::unique_ptr<Slot> slot) {
  const Failure failure = slot->connection->failure();
  const bool lost = failure == Failure::kLost || !slot->connection->open();
  std::vector<std::unique_ptr<Slot>> retired;  // closed after the lock is gone
  std::scoped_lock lock{mutex_};
  const Steady now = clock_.Now();
  std::erase(leased_, slot.get());
  if (lost || failure == Failure::kStale || stopping_ || now >= slot->retire_at) {
    stats_.lost += lost ? 1 : 0;
    stats_.retired += !lost && !stopping_ ? 1 : 0;
    --total_;
    retired.push_back(std::move(slot));
  } else {
    slot->idle_since = now;
    idle_.push_back(std::move(slot));
    retired = TakeRetired(now);
  }
  Serve();
}

std::vector<std::unique_ptr<Pool::State::Slot>> Pool::State::TakeRetired(Steady now) {
  std::vector<std::unique_ptr<Slot>> retired;
  for (auto it = idle_.begin(); it != idle_.end();) {
    const bool unused = total_ > options_.connections_min && now - (*it)->idle_since >= options_.idle_max;
    if (!unused && now < (*it)->retire_at) {
      ++it;
      continue;
    }
    retired.push_back(std::move(*it));
    it = idle_.erase(it);
    --total_;
    ++stats_.retired;
  }
  return retired;
}

// After failures one connect at a time finds out whether the server is back.
bool Pool::State::MayConnect(Steady now) const {
  if (stopping_ || total_ >= options_.connections_max) return false;
  return failures_ == 0 || (connecting_ == 0 && now >= connect_after_);
}

void Pool::State::Serve() {
  const Steady now = clock_.Now();
  while (!waiters_.empty()) {
    Waiter& first = *waiters_.front();
    if (stopping_) {
      first.refused = true;
    } else if (!idle_.empty()) {
      first.slot = std::move(idle_.back());
      idle_.pop_back();
    } else if (MayConnect(now)) {
      first.slot = std::make_unique<Slot>();
      ++total_;
      ++connecting_;
    } else if (total_ == 0) {
      first.refused = true;
    } else {
      return;
    }
    waiters_.pop_front();
    first.wake.notify_one();
  }
}

void Pool::State::SetOverdue(Slot& slot, std::optional<Steady> moment) {
  std::scoped_lock lock{mutex_};
  slot.overdue_at = moment;
  slot.writes_for = log::Current();
}

double Pool::State::Random() {
  return std::uniform_real_distribution<double>{0, 1}(random_);
}

// The server ends slow statements itself.  When it does not (stopped, or gone without a word), the
// connection is cut so that no thread waits for ever.
void Pool::State::Guard() {
  pthread_setname_np(pthread_self(), "db-guard");
  std::unique_lock lock{mutex_};
  while (!guard_stopping_) {
    if (leased_.empty()) {
      guard_asleep_ = true;
      guard_wake_.wait(lock, [this] { return guard_stopping_ || !leased_.empty(); });
      guard_asleep_ = false;
    }
    guard_wake_.wait_for(lock, kGuardInterval, [this] { return guard_stopping_; });
    const Steady now = clock_.Now();
    for (Slot* slot : leased_) {
      if (!slot->overdue_at || now < *slot->overdue_at) continue;
      slot->overdue_at.reset();
      slot->connection->Interrupt();
      const log::Scope scope{slot->writes_for};
      log::Warn("the database does not answer; connection cut",
                {{"backend", slot->connection->backend_pid()}});
    }
  }
}

PoolStats Pool::State::Stats() const {
  std::scoped_lock lock{mutex_};
  PoolStats stats = stats_;
  stats.connections = total_ - connecting_;
  stats.idle = static_cast<std::uint32_t>(idle_.size());
  stats.in_use = static_cast<std::uint32_t>(leased_.size());
  stats.waiting = static_cast<std::uint32_t>(waiters_.size());
  return stats;
}

Pool::Pool(PoolOptions options, const Clock& clock, QueryStatistics* statistics)
    : state_(std::make_unique<State>(std::move(options), clock, statistics)) {}

Pool::~Pool() = default;

PoolStats Pool::Stats() const {
  return state_->Stats();
}

void Pool::RunErased(Mode mode, const std::function<void(Tx&)>& work, std::optional<Clock::Steady> deadline) {
  state_->Run(mode, work, deadline);
}

}  // namespace gathering::db
