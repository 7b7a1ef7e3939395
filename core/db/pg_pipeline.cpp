#include "core/db/pipeline.h"

#include <libpq-fe.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <charconv>
#include <random>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/db/pg_conninfo.h"
#include "core/db/pg_error.h"
#include "core/db/pg_result.h"
#include "core/db/queries.h"

namespace gathering::db {
namespace {

using std::chrono::milliseconds;
using Steady = Clock::Steady;

constexpr milliseconds kServerGrace{500};  // beyond the statement's timeout; then the connection is cut
constexpr std::uint32_t kBarriersMax = 3;
constexpr milliseconds kCancelInterval{100};  // between two requests to cancel the same statement
constexpr double kLifetimeJitter = 0.1;
constexpr int kTextResult = 0;

ResultOwner Ask(PGconn* connection, const std::string& sql) {
  ResultOwner result{PQexec(connection, sql.c_str()), PQclear};
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    throw Unavailable("the database is away", kRetryAfter, Complaint(connection));
  }
  return result;
}

void DropNotice(void*, const PGresult* result) noexcept {
  log::Debug("notice from the database", {{"notice", FieldOf(result, PG_DIAG_MESSAGE_PRIMARY)}});
}

const char* BarrierName() {
  return sql::kPipelineBarrier.name.data();  // a literal, so it ends in a NUL
}

std::size_t BytesOf(const Params& params) {
  std::size_t bytes = 0;
  for (const auto& param : params) bytes += param ? param->size() : 0;
  return bytes;
}

}  // namespace

// --- the link ------------------------------------------------------------------------------------

class PipelineLink::Driver {
 public:
  struct Prepared {
    std::string name;
    std::uint32_t version = 0;
    bool sent = false;
  };

  Driver(const ConnectionOptions& options, Traffic traffic)
      : connection(PQconnectdb(ConnInfo(options).c_str()), PQfinish) {
    if (PQstatus(connection.get()) != CONNECTION_OK) {
      throw Unavailable("the database is away", kRetryAfter, Complaint(connection.get()));
    }
    PQsetNoticeReceiver(connection.get(), &DropNotice, nullptr);
    Ask(connection.get(), SessionSettings(options));
    // Not PQbackendPID: between us and the server may be a proxy that has numbers of its own.
    const ResultOwner answer = Ask(connection.get(), "SELECT pg_backend_pid()");
    const std::string_view pid = PQgetvalue(answer.get(), 0, 0);
    std::from_chars(pid.data(), pid.data() + pid.size(), backend_pid);
    if (traffic == Traffic::kWrites) PrepareBarrier();
    PQsetnonblocking(connection.get(), 1);
    if (PQenterPipelineMode(connection.get()) != 1) {
      throw Unavailable("the database is away", kRetryAfter, "the connection refuses pipeline mode");
    }
  }

  [[nodiscard]] PGconn* get() const { return connection.get(); }

  Prepared& PreparedFor(const Query& query) {
    Prepared& found = prepared[&query];
    if (found.name.empty()) found.name = query.name;
    return found;
  }

  ConnOwner connection;
  int backend_pid = 0;
  std::string durability;  // how a commit shall wait for the disk; empty: not at all
  std::unordered_map<const Query*, Prepared> prepared;

 private:
  // What the server is configured to wait for at a commit, it waits for once a batch.
  void PrepareBarrier() {
    const ResultOwner answer = Ask(connection.get(), "SHOW synchronous_commit");
    durability = PQgetvalue(answer.get(), 0, 0);
    if (durability == "off") {
      durability.clear();
      return;
    }
    Ask(connection.get(), "SET synchronous_commit = off");
    const std::string text{sql::kPipelineBarrier.text};
    const ResultOwner prepared_barrier{PQprepare(connection.get(), BarrierName(), text.c_str(), 0, nullptr),
                                       PQclear};
    if (PQresultStatus(prepared_barrier.get()) != PGRES_COMMAND_OK) {
      throw Unavailable("the database is away", kRetryAfter, Complaint(connection.get()));
    }
  }
};

PipelineLink::PipelineLink(const ConnectionOptions& options, Traffic traffic)
    : driver_(std::make_unique<Driver>(options, traffic)) {}

PipelineLink::~PipelineLink() = default;

int PipelineLink::backend_pid() const {
  return driver_->backend_pid;
}

// --- the pipeline --------------------------------------------------------------------------------

// One command that libpq answers, in the order sent.
struct Pipeline::Entry {
  enum class Kind : std::uint8_t { kPrepare, kStatement, kSync, kBarrier, kBarrierSync };

  Kind kind;
  Pending* pending = nullptr;  // of kStatement; null: given up
  const Query* query = nullptr;
  std::size_t bytes = 0;
  bool unprepared = false;  // what it relies on could not be prepared
  ResultOwner result{nullptr, PQclear};

  [[nodiscard]] bool is_sync() const { return kind == Kind::kSync || kind == Kind::kBarrierSync; }
};

// The statement whose sync is still to come: only that says whether it was committed.
struct Pipeline::Unsynced {
  Pending* pending = nullptr;
  bool unprepared = false;
  ResultOwner result{nullptr, PQclear};
};

// Written by the owner's thread, read by any.
struct Pipeline::Counters {
  Count connected, queued, in_flight, statements, failed, refused, expired, given_up, moved, cancels, resent,
      in_doubt, connects, connect_failures, lost, retired, syncs, batches, batch_max;
  std::array<Count, kBatchSizeClasses> batch_sizes;
};

Pipeline::Pipeline(PipelineOptions options, Owner& owner, QueryStatistics& statistics, const Clock& clock)
    : options_(options),
      owner_(owner),
      statistics_(statistics),
      clock_(clock),
      unsynced_(std::make_unique<Unsynced>()),
      counters_(std::make_unique<Counters>()) {}

Pipeline::~Pipeline() {
  assert(queue_.empty() && held_.empty());
  if (link_) owner_.Unwatch(PQsocket(link_->driver_->get()));
}

void Pipeline::Submit(Pending& pending) {
  static_cast<void>(Pointers(pending.params_));  // refuses what cannot be sent
  if (queue_.size() >= options_.queue_max) {
    counters_->refused.Add();
    throw Unavailable("the database is busy", kRetryAfter, "the queue of statements is full");
  }
  if (!link_) {
    if (auto away = owner_.Away()) throw *std::move(away);
    Want();
  }
  pending.submitted_at_ = clock_.Now();
  pending.bytes_ = BytesOf(pending.params_);
  pending.queued_ = true;
  queue_.push_back(&pending);
  counters_->queued.Set(queue_.size());
  owner_.FlushWanted();
}

bool Pipeline::Avoids(const Query& query) const {
  const auto avoided = avoided_until_.find(&query);
  return avoided != avoided_until_.end() && clock_.Now() < avoided->second;
}

// Those that queued before it was known.
void Pipeline::MoveAvoided() {
  if (avoided_until_.empty()) return;
  std::vector<Pending*> moved;
  std::erase_if(queue_, [&](Pending* pending) {
    const bool avoided = Avoids(pending->query_);
    if (avoided) moved.push_back(pending);
    return avoided;
  });
  for (Pending* pending : moved) {
    pending->queued_ = false;
    Move(*pending);
  }
}

bool Pipeline::GiveUp(Pending& pending) {
  counters_->given_up.Add();
  pending.took = TookBy(pending);
  if (std::erase(again_, &pending) > 0) return false;
  if (std::exchange(pending.queued_, false)) {
    std::erase(queue_, &pending);
    counters_->queued.Set(queue_.size());
    return false;
  }
  const bool is_write = pending.query_.effect == Effect::kWrite;
  if (std::erase(held_, &pending) > 0) return true;
  if (unsynced_->pending == &pending) unsynced_->pending = nullptr;
  bool is_first = true;
  for (Entry& entry : in_flight_) {
    if (entry.kind != Entry::Kind::kStatement) continue;
    if (entry.pending == &pending) {
      if (is_first) CancelRunning();
      entry.pending = nullptr;
    }
    is_first = false;
  }
  return is_write;
}

void Pipeline::WarmUp() {
  if (!link_ && !owner_.Away()) Want();
}

void Pipeline::Want() {
  if (!std::exchange(connecting_, true)) owner_.ConnectWanted();
}

void Pipeline::Attach(std::unique_ptr<PipelineLink> link) {
  connecting_ = false;
  counters_->connects.Add();
  next_link_ = std::move(link);
  if (!link_ || in_flight_.empty()) Adopt();
}

// Lets the next link take over, which there is, from one that has nothing in flight any more.
void Pipeline::Adopt() {
  if (link_) {
    owner_.Unwatch(PQsocket(link_->driver_->get()));
    counters_->retired.Add();
  }
  link_ = std::move(next_link_);
  replacing_ = false;
  output_blocked_ = false;
  static thread_local std::minstd_rand random{std::random_device{}()};
  const double varied = 1 - kLifetimeJitter * std::uniform_real_distribution<double>{0, 1}(random);
  const std::chrono::duration<double> lifetime = options_.lifetime_max * varied;
  retire_at_ = clock_.Now() + std::chrono::duration_cast<Steady::duration>(lifetime);
  counters_->connected.Set(1);
  owner_.Watch(PQsocket(link_->driver_->get()), false);
  owner_.FlushWanted();
}

void Pipeline::ConnectFailed(const Error& error) {
  connecting_ = false;
  replacing_ = false;  // asked for again when the next statement comes
  counters_->connect_failures.Add();
  if (link_) return;
  std::deque<Pending*> refused;
  refused.swap(queue_);
  counters_->queued.Set(0);
  for (Pending* pending : refused) {
    pending->queued_ = false;
    Fail(*pending, error);
  }
}

// --- sending -------------------------------------------------------------------------------------

bool Pipeline::HasRoom() const {
  if (in_flight_statements_ == 0) return true;
  return in_flight_statements_ < options_.in_flight_max &&
         in_flight_bytes_ + queue_.front()->bytes_ <= options_.in_flight_bytes_max;
}

void Pipeline::Flush() {
  if (!link_ || flushing_) return;
  if (in_flight_.empty() && next_link_) Adopt();
  if (!replacing_ && clock_.Now() >= retire_at_) {
    replacing_ = true;
    Want();
  }
  if (next_link_) return;
  MoveAvoided();
  if (queue_.empty()) return;
  flushing_ = true;
  if (in_flight_.empty()) BeginRunning();
  options_.traffic == Traffic::kReads ? SendReads() : SendWrites();
  flushing_ = false;
  Push();
  Publish();
}

void Pipeline::SendReads() {
  std::size_t batch = 0;
  std::size_t unsynced = 0;
  while (link_ && !queue_.empty() && HasRoom()) {
    Pending& pending = *queue_.front();
    if (pending.alone_ && unsynced > 0) {
      if (!SendSync(false)) return;
      unsynced = 0;
    }
    if (!Send(pending)) return;
    ++batch;
    ++unsynced;
    if (!pending.alone_) continue;
    if (!SendSync(false)) return;
    unsynced = 0;
  }
  if (unsynced > 0) SendSync(false);
  NoteBatch(batch);
}

// One batch at a time: while the disk works for one, the next gathers.
void Pipeline::SendWrites() {
  if (!in_flight_.empty()) return;
  std::size_t batch = 0;
  while (link_ && !queue_.empty() && HasRoom()) {
    if (!Send(*queue_.front()) || !SendSync(false)) return;
    ++batch;
  }
  if (batch > 0 && !link_->driver_->durability.empty()) {
    barriers_tried_ = 0;
    SendBarrier();
  }
  NoteBatch(batch);
}

void Pipeline::NoteBatch(std::size_t size) {
  if (size == 0) return;
  const auto size_class = static_cast<std::size_t>(std::bit_width(size - 1));
  counters_->batches.Add();
  counters_->batch_max.Set(std::max<std::uint64_t>(counters_->batch_max.Get(), size));
  counters_->batch_sizes[std::min(size_class, kBatchSizeClasses - 1)].Add();
}

bool Pipeline::Send(Pending& pending) {
  PipelineLink::Driver& driver = *link_->driver_;
  PipelineLink::Driver::Prepared& prepared = driver.PreparedFor(pending.query_);
  if (!prepared.sent) {
    const std::string text{pending.query_.text};
    in_flight_.push_back({.kind = Entry::Kind::kPrepare, .query = &pending.query_});
    if (PQsendPrepare(driver.get(), prepared.name.c_str(), text.c_str(), 0, nullptr) != 1) {
      Lost(Complaint(driver.get()));
      return false;
    }
    prepared.sent = true;
  }
  queue_.pop_front();
  pending.queued_ = false;
  pending.sent_at_ = clock_.Now();
  const std::vector<const char*> values = Pointers(pending.params_);
  in_flight_.push_back({.kind = Entry::Kind::kStatement,
                        .pending = &pending,
                        .query = &pending.query_,
                        .bytes = pending.bytes_});
  ++in_flight_statements_;
  in_flight_bytes_ += pending.bytes_;
  if (PQsendQueryPrepared(driver.get(), prepared.name.c_str(), static_cast<int>(values.size()), values.data(),
                          nullptr, nullptr, kTextResult) == 1)
    return true;
  Lost(Complaint(driver.get()));
  return false;
}

bool Pipeline::SendSync(bool of_barrier) {
  PGconn* const connection = link_->driver_->get();
  in_flight_.push_back({.kind = of_barrier ? Entry::Kind::kBarrierSync : Entry::Kind::kSync});
  counters_->syncs.Add();
  if (PQpipelineSync(connection) == 1) return true;
  Lost(Complaint(connection));
  return false;
}

bool Pipeline::SendBarrier() {
  ++barriers_tried_;
  PipelineLink::Driver& driver = *link_->driver_;
  const char* const value = driver.durability.c_str();
  in_flight_.push_back({.kind = Entry::Kind::kBarrier});
  if (PQsendQueryPrepared(driver.get(), BarrierName(), 1, &value, nullptr, nullptr, kTextResult) != 1) {
    Lost(Complaint(driver.get()));
    return false;
  }
  return SendSync(true);
}

void Pipeline::Push() {
  if (!link_) return;
  PGconn* const connection = link_->driver_->get();
  const int left = PQflush(connection);
  if (left < 0) {
    Lost(Complaint(connection));
  } else if ((left > 0) != output_blocked_) {
    output_blocked_ = left > 0;
    owner_.Watch(PQsocket(connection), output_blocked_);
  }
}

// --- receiving -----------------------------------------------------------------------------------

void Pipeline::OnReady() {
  if (!link_) return;
  const PipelineLink* const link = link_.get();
  PGconn* const connection = link->driver_->get();
  // What the server said before it left is still to be read.
  const bool lost = PQconsumeInput(connection) != 1;
  while (link_.get() == link && !in_flight_.empty() && PQisBusy(connection) == 0) {
    PGresult* const result = PQgetResult(connection);
    result != nullptr ? Take(result) : Finish();
  }
  if (link_.get() != link) return;
  if (lost || PQstatus(connection) != CONNECTION_OK) {
    Lost(Complaint(connection));
    return;
  }
  Push();
  if (in_flight_.empty() && next_link_) Adopt();
  if (!queue_.empty()) owner_.FlushWanted();
  Publish();
}

// One answer to the first entry.
void Pipeline::Take(void* answer) {
  ResultOwner result{static_cast<PGresult*>(answer), PQclear};
  if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
    const SqlError error = ToError(result.get());
    if (MeaningOf(error.sqlstate).failure == Failure::kLost) {
      Lost(error.cause);
      return;
    }
  }
  Entry& first = in_flight_.front();
  if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) {
    EndSync();
  } else if (!first.result) {
    first.result = std::move(result);
  }
}

// The end mark behind the answers to the first entry.
void Pipeline::Finish() {
  if (in_flight_.front().is_sync()) return;  // an error at the commit; the sync itself is still to come
  if (!in_flight_.front().result) {
    Lost("an answer is missing");
    return;
  }
  Entry entry = std::move(in_flight_.front());
  in_flight_.pop_front();
  const ExecStatusType status = PQresultStatus(entry.result.get());
  BeginRunning();
  if (entry.kind == Entry::Kind::kPrepare) {
    if (status == PGRES_COMMAND_OK) return;
    // The statement behind it is answered with what went wrong here.
    if (status == PGRES_FATAL_ERROR && !in_flight_.empty())
      in_flight_.front().result = std::move(entry.result);
    NotPrepared(*entry.query);
    return;
  }
  if (entry.kind == Entry::Kind::kStatement) {
    --in_flight_statements_;
    in_flight_bytes_ -= entry.bytes;
  }
  *unsynced_ = {entry.pending, entry.unprepared, std::move(entry.result)};
  if (options_.traffic == Traffic::kReads) Conclude();
}

// Those sent in reliance on a preparation that failed will hear that it does not exist: they did not run.
void Pipeline::NotPrepared(const Query& query) {
  for (Entry& entry : in_flight_) {
    if (entry.query != &query || entry.result) continue;
    if (entry.kind == Entry::Kind::kPrepare) return;  // from here on they rely on this one
    entry.unprepared = true;
  }
  link_->driver_->PreparedFor(query).sent = false;
}

void Pipeline::EndSync() {
  Entry entry = std::move(in_flight_.front());
  in_flight_.pop_front();
  BeginRunning();
  if (entry.result) {
    unsynced_->result = std::move(entry.result);
    if (options_.traffic == Traffic::kReads)
      log::Warn("a read failed at its end", {{"cause", ToError(unsynced_->result.get()).cause}});
  }
  if (entry.kind == Entry::Kind::kBarrierSync) {
    ConcludeBarrier();
  } else if (options_.traffic == Traffic::kWrites) {
    Conclude();
  }
  Requeue();
}

// What the server said to a statement, final now.
void Pipeline::Conclude() {
  Unsynced done = std::move(*unsynced_);
  *unsynced_ = {};
  if (done.pending == nullptr) return;
  Pending& pending = *done.pending;
  switch (done.unprepared ? PGRES_PIPELINE_ABORTED : PQresultStatus(done.result.get())) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
      pending.outcome = Pending::Outcome::kRows;
      pending.rows = ToRows(std::move(done.result));
      if (options_.traffic == Traffic::kWrites && !link_->driver_->durability.empty()) {
        held_.push_back(&pending);
      } else {
        Answer(pending);
      }
      break;
    case PGRES_PIPELINE_ABORTED:
      pending.alone_ = true;
      again_.push_back(&pending);
      break;
    default:
      Judge(pending, ToError(done.result.get(), pending.query_.name));
      break;
  }
}

// After an error the server did nothing of the statement, so it may run again where that helps.
void Pipeline::Judge(Pending& pending, const SqlError& error) {
  const Failure failure = MeaningOf(error.sqlstate).failure;
  // Else the server's own limit ended it, or somebody who meant it.
  const bool cancelled = error.sqlstate == "57014" && cancelled_at_ >= pending.sent_at_;
  if (cancelled || failure == Failure::kConflict) {
    if (cancelled) avoided_until_[&pending.query_] = clock_.Now() + options_.avoid_for;
    Move(pending);
    return;
  }
  if (failure == Failure::kStale && !std::exchange(pending.reprepared_, true)) {
    if (error.sqlstate == "25006") {
      replacing_ = true;
      Want();
    } else {
      PipelineLink::Driver::Prepared& prepared = link_->driver_->PreparedFor(pending.query_);
      prepared.name = fmt::format("{}#{}", pending.query_.name, ++prepared.version);
      prepared.sent = false;
    }
    pending.alone_ = true;
    again_.push_back(&pending);
    return;
  }
  Fail(pending, error);
}

void Pipeline::ConcludeBarrier() {
  const bool done = PQresultStatus(unsynced_->result.get()) == PGRES_TUPLES_OK;
  const std::string cause = done ? std::string{} : ToError(unsynced_->result.get(), BarrierName()).cause;
  *unsynced_ = {};
  // A later one waits for the same writes.
  if (!done && barriers_tried_ < kBarriersMax) {
    if (SendBarrier()) Push();
    return;
  }
  std::vector<Pending*> held;
  held.swap(held_);
  for (Pending* pending : held) done ? Answer(*pending) : Doubt(*pending, cause);
}

void Pipeline::Requeue() {
  const Steady now = clock_.Now();
  for (auto pending = again_.rbegin(); pending != again_.rend(); ++pending) {
    (*pending)->queued_ = true;
    (*pending)->submitted_at_ = now;
    queue_.push_front(*pending);
    counters_->resent.Add();
  }
  again_.clear();
}

void Pipeline::BeginRunning() {
  running_since_ = clock_.Now();
}

QueryStatistics::Took Pipeline::TookBy(const Pending& pending) const {
  const Steady now = clock_.Now();
  const bool sent = pending.sent_at_ >= pending.submitted_at_;
  if (!sent) return {.wait = now - pending.submitted_at_};
  return {.wait = pending.sent_at_ - pending.submitted_at_, .run = now - pending.sent_at_};
}

void Pipeline::Answer(Pending& pending) {
  const bool failed = pending.outcome == Pending::Outcome::kError;
  counters_->statements.Add();
  if (failed) counters_->failed.Add();
  pending.took = TookBy(pending);
  statistics_.Note(pending.query_, pending.took, failed);
  pending.OnAnswered();
}

void Pipeline::Move(Pending& pending) {
  counters_->moved.Add();
  pending.outcome = Pending::Outcome::kMoved;
  Answer(pending);
}

void Pipeline::Fail(Pending& pending, Error error) {
  pending.outcome = Pending::Outcome::kError;
  pending.error = std::move(error);
  Answer(pending);
}

void Pipeline::Doubt(Pending& pending, std::string_view cause) {
  counters_->in_doubt.Add();
  Fail(pending, Error{Code::kInDoubt, "it is not known whether the change was made", std::string{cause}});
}

// --- what goes wrong -----------------------------------------------------------------------------

void Pipeline::Lost(std::string_view cause) {
  log::Warn("a database connection was lost", {{"cause", cause}});
  counters_->lost.Add();
  counters_->connected.Set(0);
  owner_.Unwatch(PQsocket(link_->driver_->get()));
  link_.reset();
  std::vector<Pending*> unanswered;
  for (const Entry& entry : in_flight_) {
    if (entry.pending != nullptr) unanswered.push_back(entry.pending);
  }
  in_flight_.clear();
  in_flight_statements_ = 0;
  in_flight_bytes_ = 0;
  if (unsynced_->pending != nullptr) unanswered.insert(unanswered.begin(), unsynced_->pending);
  *unsynced_ = {};
  unanswered.insert(unanswered.begin(), held_.begin(), held_.end());
  held_.clear();

  std::vector<Pending*> refused;
  for (Pending* pending : unanswered) {
    const bool again = options_.traffic == Traffic::kReads && !std::exchange(pending->resent_, true);
    (again ? again_ : refused).push_back(pending);
  }
  Requeue();
  next_link_ ? Adopt() : Want();
  Publish();
  // Last, for they may submit anew.
  const std::string why{cause};
  for (Pending* pending : refused) {
    if (options_.traffic == Traffic::kWrites) {
      Doubt(*pending, why);
    } else {
      Fail(*pending, Unavailable("the database is away", kRetryAfter, why));
    }
  }
}

void Pipeline::CancelRunning() {
  const Steady now = clock_.Now();
  if (now < cancelled_at_ + kCancelInterval) return;
  cancelled_at_ = now;
  counters_->cancels.Add();
  const auto first = std::ranges::find(in_flight_, Entry::Kind::kStatement, &Entry::kind);
  const bool known = first != in_flight_.end() && first->pending != nullptr;
  const log::Scope scope{known ? first->pending->writes_for_ : nullptr};
  owner_.Cancel(link_->driver_->backend_pid, std::min(options_.patience, options_.statement_timeout));
}

void Pipeline::Check() {
  const Steady now = clock_.Now();
  while (!queue_.empty() && now - queue_.front()->submitted_at_ >= options_.queue_timeout) {
    Pending& pending = *queue_.front();
    queue_.pop_front();
    pending.queued_ = false;
    counters_->expired.Add();
    Fail(pending, Unavailable("the database is busy", kRetryAfter, "a statement could not be sent in time"));
  }
  if (!link_ || in_flight_.empty()) return;
  const Steady::duration running = now - running_since_;
  const bool others_wait = in_flight_statements_ > 1 || !queue_.empty();
  if (running >= options_.statement_timeout + kServerGrace) {
    Lost("the server does not keep to its timeouts");
  } else if (others_wait && running >= options_.patience) {
    CancelRunning();
  }
}

// --- the view from outside -----------------------------------------------------------------------

void Pipeline::Publish() {
  counters_->queued.Set(queue_.size());
  counters_->in_flight.Set(in_flight_statements_);
}

PipelineStats Pipeline::Stats() const {
  const Counters& c = *counters_;
  PipelineStats stats{.connected = c.connected.Get() != 0,
                      .queued = static_cast<std::uint32_t>(c.queued.Get()),
                      .in_flight = static_cast<std::uint32_t>(c.in_flight.Get()),
                      .statements = c.statements.Get(),
                      .failed = c.failed.Get(),
                      .refused = c.refused.Get(),
                      .expired = c.expired.Get(),
                      .given_up = c.given_up.Get(),
                      .moved = c.moved.Get(),
                      .cancels = c.cancels.Get(),
                      .resent = c.resent.Get(),
                      .in_doubt = c.in_doubt.Get(),
                      .connects = c.connects.Get(),
                      .connect_failures = c.connect_failures.Get(),
                      .lost = c.lost.Get(),
                      .retired = c.retired.Get(),
                      .syncs = c.syncs.Get(),
                      .batches = c.batches.Get(),
                      .batch_max = c.batch_max.Get()};
  for (std::size_t i = 0; i < kBatchSizeClasses; ++i) stats.batch_sizes[i] = c.batch_sizes[i].Get();
  return stats;
}

}  // namespace gathering::db
