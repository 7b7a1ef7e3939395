#pragma once
// Single statements on one PostgreSQL connection, many of them on their way at once.
//
// Statements go out without waiting for earlier answers (libpq's pipeline mode), and what
// gathered between two calls of Flush leaves in one write.  Each caller gets its own rows or
// its own error.  A pipeline belongs to one thread, never blocks it and has no clock or socket
// loop of its own: its Owner watches the descriptor, calls Flush and Check, and connects.
//
// Where the sync points are, and why.  A sync ends the server's implicit transaction, makes it
// send what it has, and is where it goes on after an error.
//   kReads   one sync for all statements of a Flush.  Reads have nothing to commit, so the batch
//            costs the server one transaction and one write.  A statement that fails takes those
//            behind it down to the sync unexecuted; they are sent again, a sync behind each, so
//            the failing one costs the others a round trip and nothing else.
//   kWrites  a sync behind every statement: each is a transaction of its own, one that fails rolls
//            nothing else back, and row locks are held for one statement and not for the batch.
//            What a batch shares is the disk: its transactions commit without waiting for it
//            (synchronous_commit off), and one statement at the end waits once for everything
//            before it.  Nobody is answered before that, so an acknowledged write is durable, and
//            no lock is held while the disk works.  The next batch gathers meanwhile.
//
// What becomes of a statement when something goes wrong:
//   too slow         longer than `patience` while others wait behind it: it is cancelled and the
//                    caller told to run it elsewhere (Pending::Outcome::kMoved); for `avoid_for` its
//                    like, which may wait for the same lock, are told so without trying
//   connection lost  reads are sent once more on the next connection; a write whose answer is
//                    missing is in doubt (Code::kInDoubt); what was not sent yet just waits
//   schema changed   prepared again under a new name and sent once more
//   queue full       refused at once; waited `queue_timeout` unsent: refused (Code::kUnavailable)
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/count.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/db/connection.h"
#include "core/db/params.h"
#include "core/db/query.h"
#include "core/db/row.h"
#include "core/db/statistics.h"

namespace gathering::db {

class SqlError;

enum class Traffic : std::uint8_t { kReads, kWrites };

struct PipelineOptions {
  Traffic traffic = Traffic::kReads;
  std::uint32_t queue_max = 1'024;              // statements not sent yet
  std::uint32_t in_flight_max = 128;            // statements sent and not answered
  std::size_t in_flight_bytes_max = 1'048'576;  // of their values; one statement may exceed it alone
  std::chrono::milliseconds queue_timeout{2'000};
  std::chrono::milliseconds patience{100};
  std::chrono::milliseconds avoid_for{5'000};
  std::chrono::milliseconds statement_timeout{5'000};  // the server's; it is left half a second later
  std::chrono::seconds lifetime_max{1'800};            // of a connection, varied by up to 10 %
};

// Batches of one statement, of two, up to four, eight, …; the last one counts all above.
inline constexpr std::size_t kBatchSizeClasses = 9;

struct PipelineStats {
  bool connected = false;
  std::uint32_t queued = 0;
  std::uint32_t in_flight = 0;
  std::uint64_t statements = 0;  // answered, with rows or an error
  std::uint64_t failed = 0;      // of these, with an error of the server
  std::uint64_t refused = 0;     // beyond queue_max
  std::uint64_t expired = 0;     // waited for queue_timeout
  std::uint64_t given_up = 0;    // by their callers
  std::uint64_t moved = 0;       // too slow for a pipeline
  std::uint64_t cancels = 0;     // asked of the server
  std::uint64_t resent = 0;      // after an error before them, or a lost connection
  std::uint64_t in_doubt = 0;    // writes whose answer was lost
  std::uint64_t connects = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t lost = 0;     // connections
  std::uint64_t retired = 0;  // connections, by age or because the server turned read-only
  std::uint64_t syncs = 0;
  std::uint64_t batches = 0;
  std::uint64_t batch_max = 0;  // statements
  std::array<std::uint64_t, kBatchSizeClasses> batch_sizes{};
};

// A connection made ready for a pipeline.
class PipelineLink {
 public:
  // Blocks.  Throws Error kUnavailable when the server cannot be reached or refuses us.
  PipelineLink(const ConnectionOptions& options, Traffic traffic);
  ~PipelineLink();
  PipelineLink(const PipelineLink&) = delete;
  PipelineLink& operator=(const PipelineLink&) = delete;

  [[nodiscard]] int backend_pid() const;

 private:
  friend class Pipeline;
  class Driver;
  std::unique_ptr<Driver> driver_;
};

// One statement on its way.  Lives with its caller, and with it query and values, until
// OnAnswered was called or Pipeline::GiveUp returned; by then `took` is known.  What the pipeline logs of it
// is written for whom the thread wrote that made it.
class Pending {
 public:
  enum class Outcome : std::uint8_t {
    kRows,
    kError,  // `error` says which
    kMoved   // nothing happened: it takes too long for a pipeline, run it in a transaction of its own
  };

  Pending(const Query& query, const Params& params) : query_(query), params_(params) {}
  virtual void OnAnswered() = 0;  // may submit others

  Outcome outcome = Outcome::kMoved;
  std::optional<Rows> rows = {};
  std::optional<Error> error = {};
  QueryStatistics::Took took = {};

 protected:
  ~Pending() = default;

 private:
  friend class Pipeline;
  const Query& query_;
  const Params& params_;
  const log::Context* const writes_for_ = log::Current();
  Clock::Steady submitted_at_{};
  Clock::Steady sent_at_{};
  std::size_t bytes_ = 0;
  bool queued_ = false;
  bool alone_ = false;   // a sync behind it
  bool resent_ = false;  // after a lost connection
  bool reprepared_ = false;
};

class Pipeline {
 public:
  class Owner {
   public:
    // Set while the database is known to be away: statements are refused with it at once.
    virtual std::optional<Error> Away() = 0;
    // A link is wanted: make one elsewhere and then call Attach or ConnectFailed, not from within.
    virtual void ConnectWanted() = 0;
    // The descriptor is to be watched: for input always, with `output` also for room to write.
    virtual void Watch(int descriptor, bool output) = 0;
    virtual void Unwatch(int descriptor) = 0;
    // Flush is to be called before the thread waits again.
    virtual void FlushWanted() = 0;
    // The server process `backend` is to be asked to cancel its statement if that has run for
    // `at_least`.  Asking blocks, so it is done elsewhere; not asking is no harm.
    virtual void Cancel(int backend, std::chrono::milliseconds at_least) = 0;

   protected:
    ~Owner() = default;
  };

  // Borrows everything.  `statistics` may be shared.
  Pipeline(PipelineOptions options, Owner& owner, QueryStatistics& statistics, const Clock& clock);
  ~Pipeline();  // nobody may be waiting
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Queues a statement.  Throws kUnavailable when the queue is full or the database away, kRejected when
  // a value holds U+0000; then OnAnswered will not be called.
  void Submit(Pending& pending);

  // The statement was too slow just now and is not wanted here for a while.
  [[nodiscard]] bool Avoids(const Query& query) const;

  // The caller does not wait any longer: OnAnswered will not be called.  True when the statement may
  // nevertheless have its effect.
  [[nodiscard]] bool GiveUp(Pending& pending);

  void Attach(std::unique_ptr<PipelineLink> link);
  void ConnectFailed(const Error& error);

  void Flush();
  void OnReady();  // the descriptor has input, room, or an error

  // Looks for what takes too long.  To be called every kCheckInterval while `busy`.
  void Check();
  static constexpr std::chrono::milliseconds kCheckInterval{25};
  [[nodiscard]] bool busy() const { return !queue_.empty() || !in_flight_.empty(); }

  // Asks for a link without waiting for a statement.
  void WarmUp();

  // From any thread.
  [[nodiscard]] PipelineStats Stats() const;

 private:
  struct Entry;
  struct Unsynced;
  struct Counters;

  void Want();
  void Adopt();
  [[nodiscard]] bool HasRoom() const;
  void SendReads();
  void SendWrites();
  // These are false when the connection was lost over it.
  bool Send(Pending& pending);  // the front of the queue, which it leaves when it really goes
  bool SendSync(bool of_barrier);
  bool SendBarrier();
  void Push();
  void NoteBatch(std::size_t size);
  void MoveAvoided();

  void Take(void* answer);
  void Finish();
  void NotPrepared(const Query& query);
  void EndSync();
  void Conclude();
  void ConcludeBarrier();
  void Judge(Pending& pending, const SqlError& error);
  void Requeue();
  void BeginRunning();

  [[nodiscard]] QueryStatistics::Took TookBy(const Pending& pending) const;
  void Answer(Pending& pending);
  void Move(Pending& pending);
  void Fail(Pending& pending, Error error);
  void Doubt(Pending& pending, std::string_view cause);
  void Lost(std::string_view cause);
  void CancelRunning();
  void Publish();

  const PipelineOptions options_;
  Owner& owner_;
  QueryStatistics& statistics_;
  const Clock& clock_;

  std::unique_ptr<PipelineLink> link_;
  std::unique_ptr<PipelineLink> next_link_;  // takes over when nothing is in flight
  Clock::Steady retire_at_{};
  bool connecting_ = false;
  bool replacing_ = false;  // a link is wanted although there is one
  bool output_blocked_ = false;
  bool flushing_ = false;

  std::deque<Pending*> queue_;
  std::deque<Entry> in_flight_;
  std::uint32_t in_flight_statements_ = 0;
  std::size_t in_flight_bytes_ = 0;
  std::unique_ptr<Unsynced> unsynced_;
  std::vector<Pending*> held_;   // committed, waiting for the disk
  std::vector<Pending*> again_;  // to be sent once more, in order
  std::unordered_map<const Query*, Clock::Steady> avoided_until_;
  std::uint32_t barriers_tried_ = 0;
  Clock::Steady running_since_{};  // when something was last sent to an idle server, or heard of a busy one
  Clock::Steady cancelled_at_{};   // when that was last asked for
  std::unique_ptr<Counters> counters_;
};

}  // namespace gathering::db
