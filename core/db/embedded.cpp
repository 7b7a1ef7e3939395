#include "core/db/embedded.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <future>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/base/child.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/db/cluster.h"
#include "core/db/connection.h"

namespace gathering::db {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kStartTimeout{120};  // crash recovery included
constexpr seconds kJoinTimeout{120};
constexpr milliseconds kFastStopTimeout{10'000};
constexpr milliseconds kForcedStopTimeout{5'000};
constexpr milliseconds kRestartDelayMin{100};
constexpr milliseconds kRestartDelayMax{2'000};
constexpr seconds kSteadyAfter{10};      // having run for so long, a server's death is its first again
constexpr milliseconds kLookAgain{200};  // in case a file changed unseen

}  // namespace

// Constant after construction: everything but the atomics, supervisor_ and lock_ (ended by Stop).
class EmbeddedPostgres::State {
 public:
  State(EmbeddedOptions options, Sharing sharing, const Clock& clock);
  ~State() { Stop(); }

  void Stop();

  EmbeddedOptions options;
  std::string url;
  bool owner = false;
  bool created = false;
  std::atomic<std::uint64_t> restarts = 0;
  std::atomic<pid_t> server_pid = 0;

 private:
  bool TryLock() const { return flock(lock_.get(), LOCK_EX | LOCK_NB) == 0; }
  std::vector<std::string> ReadLock() const { return Lines(ReadText(paths_.lock)); }
  void WriteLock(const std::string& text) const;
  void Announce() const;
  bool TryJoin();
  void JoinOrOwn();
  void WaitForChange(const Fd& changes, milliseconds timeout) const;
  Fd WatchChanges() const;
  void Own();

  // On the supervisor's thread:
  void Supervise(std::promise<void> started);
  void RunServer(std::optional<std::promise<void>>& first);
  bool StopWanted(milliseconds timeout) const;
  bool AwaitReady(Child& server) const;
  bool IsReady(pid_t server) const;
  void End(Child& server);

  const Clock& clock_;
  const Sharing sharing_;
  const ClusterPaths paths_;
  std::string socket_dir_;
  Account account_;
  std::string server_program_;
  Fd lock_;
  Fd wake_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};  // readable when the supervisor is to stop
  std::mutex stop_mutex_;
  std::jthread supervisor_;
};

EmbeddedPostgres::State::State(EmbeddedOptions options_in, Sharing sharing, const Clock& clock)
    : options([&] {
        options_in.data_dir = MakeDataDir(options_in.data_dir);
        return options_in;
      }()),
      clock_(clock),
      sharing_(sharing),
      paths_(options.data_dir),
      lock_(open(paths_.lock.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644)) {
  if (!lock_.valid()) throw SystemError("cannot lock", paths_.lock);
  if (sharing == Sharing::kJoin) {
    JoinOrOwn();
  } else if (TryLock()) {
    Own();
  } else {
    const auto lines = ReadLock();
    throw Away(fmt::format("the data directory {} is in use by gathering pid {}", options.data_dir,
                           lines.empty() ? "(starting)" : lines.front()));
  }
}

void EmbeddedPostgres::State::WriteLock(const std::string& text) const {
  if (pwrite(lock_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ftruncate(lock_.get(), static_cast<off_t>(text.size())) != 0) {
    throw SystemError("cannot write", paths_.lock);
  }
}

// One who would rather have joined may be gone in a moment, and others would lose the server with it:
// only who came to stay says where it is.
void EmbeddedPostgres::State::Announce() const {
  const bool stays = sharing_ == Sharing::kOwnerOnly;
  WriteLock(fmt::format("{}\n{}", getpid(), stays ? socket_dir_ + "\n" : ""));
}

Fd EmbeddedPostgres::State::WatchChanges() const {
  Fd changes{inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  constexpr std::uint32_t kEvents = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO;
  for (const auto& directory : {options.data_dir, paths_.cluster}) {
    inotify_add_watch(changes.get(), directory.c_str(), kEvents);
  }
  return changes;
}

void EmbeddedPostgres::State::WaitForChange(const Fd& changes, milliseconds timeout) const {
  pollfd watched{.fd = changes.get(), .events = POLLIN, .revents = 0};
  if (poll(&watched, 1, static_cast<int>(timeout.count())) <= 0) return;
  std::array<char, 4096> seen;
  while (read(changes.get(), seen.data(), seen.size()) > 0) {
  }
}

// The owner may be making the cluster, starting or stopping; when it goes, its place is free.
void EmbeddedPostgres::State::JoinOrOwn() {
  const auto give_up_at = clock_.Now() + kJoinTimeout;
  const Fd changes = WatchChanges();
  for (;;) {
    if (TryLock()) return Own();
    if (TryJoin()) return;
    if (clock_.Now() >= give_up_at) {
      const auto lines = ReadLock();
      throw Away(fmt::format("the data directory {} is in use by gathering pid {}, which does not end",
                             options.data_dir, lines.empty() ? "(starting)" : lines.front()));
    }
    WaitForChange(changes, kLookAgain);
  }
}

bool EmbeddedPostgres::State::TryJoin() {
  const auto lines = ReadLock();
  if (lines.size() < 2) return false;
  url = ConnectionText(lines[1]);
  try {
    const Connection probe{{.url = url}};
    return true;
  } catch (const Error& error) {
    log::Debug("not to be joined yet", {{"cause", error.cause}});
    return false;
  }
}

void EmbeddedPostgres::State::Own() {
  owner = true;
  struct stat about {};
  const bool exists = stat(paths_.cluster.c_str(), &about) == 0;
  account_ = ChooseAccount(options, exists ? std::optional{about.st_uid} : std::nullopt);
  if (geteuid() == 0) LetIn(account_, options.data_dir);
  std::optional<int> version;
  if (exists) {
    version = LeadingNumber(ReadText(paths_.cluster + "/PG_VERSION"));
    if (!version) throw Error{Code::kRejected, fmt::format("{} is not a PostgreSQL cluster", paths_.cluster)};
  }
  const Binaries binaries = FindBinaries(options, version);
  server_program_ = binaries.directory + "/postgres";
  if (!exists) {
    MakeCluster(options, paths_, binaries, account_);
    created = true;
  }
  EndLeftovers(paths_, account_, clock_);
  socket_dir_ = ChooseSocketDir(paths_);
  MakeSocketDir(socket_dir_, account_);
  ForgetDeadServer(paths_, socket_dir_);
  WriteServerFiles(options, paths_, socket_dir_, account_);
  url = ConnectionText(socket_dir_);
  std::promise<void> started;
  auto outcome = started.get_future();
  supervisor_ =
      std::jthread{[this, promise = std::move(started)]() mutable { Supervise(std::move(promise)); }};
  try {
    outcome.get();
    const Connection probe{{.url = url}};
    Announce();
  } catch (const Error&) {
    Stop();
    throw;
  }
}

void EmbeddedPostgres::State::Stop() {
  std::scoped_lock lock{stop_mutex_};
  if (supervisor_.joinable()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
    supervisor_.join();
    if (socket_dir_ != options.data_dir + "/run") rmdir(socket_dir_.c_str());
    [[maybe_unused]] const int emptied = ftruncate(lock_.get(), 0);
  }
  lock_.Reset();
}

bool EmbeddedPostgres::State::StopWanted(milliseconds timeout) const {
  pollfd watched{.fd = wake_.get(), .events = POLLIN, .revents = 0};
  return poll(&watched, 1, static_cast<int>(timeout.count())) > 0;
}

void EmbeddedPostgres::State::Supervise(std::promise<void> started) {
  pthread_setname_np(pthread_self(), "pg-supervisor");
  std::optional<std::promise<void>> first{std::move(started)};
  milliseconds delay = kRestartDelayMin;
  for (;;) {
    const auto begin = clock_.Now();
    try {
      RunServer(first);
      return;
    } catch (const Error& error) {
      server_pid = 0;
      if (first) return first->set_exception(std::make_exception_ptr(error));
      log::Error("the embedded PostgreSQL died", {{"error", error.message}, {"cause", error.cause}});
    }
    ++restarts;
    EndLeftovers(paths_, account_, clock_);
    if (clock_.Now() - begin >= kSteadyAfter) delay = kRestartDelayMin;
    if (StopWanted(delay)) return;
    delay = std::min(delay * 2, kRestartDelayMax);
  }
}

// Returns when Stop has been called; throws when the server ends without that.
void EmbeddedPostgres::State::RunServer(std::optional<std::promise<void>>& first) {
  const Fd output = OpenLog(paths_);
  ChildOptions command =
      ServerCommand(paths_, account_,
                    {server_program_, "-D", paths_.cluster, "-c", "config_file=" + paths_.settings}, output);
  command.death_signal = SIGQUIT;
  Child server{command};
  server_pid = server.pid();
  if (AwaitReady(server)) {
    log::Info("PostgreSQL is ready", {{"pid", server.pid()}, {"log", paths_.log}});
    if (first) {
      first->set_value();
      first.reset();
    }
    std::array<pollfd, 2> watched{pollfd{.fd = server.pidfd(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    while (poll(watched.data(), watched.size(), -1) < 0 && errno == EINTR) {
    }
  }
  if (StopWanted(milliseconds{0})) return End(server);
  server.Wait(milliseconds{-1});
  throw Away(fmt::format("PostgreSQL ended ({}); see {}", server.HowEnded(), paths_.log),
             LastComplaint(paths_));
}

// False when the server ended or Stop was called meanwhile.
bool EmbeddedPostgres::State::AwaitReady(Child& server) const {
  const auto give_up_at = clock_.Now() + kStartTimeout;
  const Fd changes = WatchChanges();
  while (!IsReady(server.pid())) {
    if (clock_.Now() >= give_up_at) {
      throw Away(fmt::format("PostgreSQL does not get ready; see {}", paths_.log), LastComplaint(paths_));
    }
    std::array<pollfd, 3> watched{pollfd{.fd = server.pidfd(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = changes.get(), .events = POLLIN, .revents = 0}};
    poll(watched.data(), watched.size(), static_cast<int>(kLookAgain.count()));
    if (watched[0].revents != 0 || watched[1].revents != 0) return false;
    WaitForChange(changes, milliseconds{0});
  }
  return true;
}

// The server writes its pid and, when it gets so far, its state into this file.
bool EmbeddedPostgres::State::IsReady(pid_t server) const {
  constexpr std::size_t kStateLine = 7;
  const auto lines = Lines(ReadText(paths_.cluster + "/postmaster.pid"));
  return lines.size() > kStateLine && lines[0] == std::to_string(server) &&
         lines[kStateLine].starts_with("ready");
}

void EmbeddedPostgres::State::End(Child& server) {
  server.Signal(SIGINT);
  if (!server.Wait(kFastStopTimeout)) {
    log::Warn("PostgreSQL takes long to stop; it will recover at its next start", {{"pid", server.pid()}});
    server.Signal(SIGQUIT);
    if (!server.Wait(kForcedStopTimeout)) server.Signal(SIGKILL);
    server.Wait(milliseconds{-1});
    EndLeftovers(paths_, account_, clock_);
  }
  server_pid = 0;
  log::Info("PostgreSQL has stopped", {{"how", server.HowEnded()}});
}

EmbeddedPostgres::EmbeddedPostgres(EmbeddedOptions options, Sharing sharing, const Clock& clock)
    : state_(std::make_unique<State>(std::move(options), sharing, clock)) {}

EmbeddedPostgres::~EmbeddedPostgres() = default;

const std::string& EmbeddedPostgres::url() const {
  return state_->url;
}

bool EmbeddedPostgres::owner() const {
  return state_->owner;
}

bool EmbeddedPostgres::created() const {
  return state_->created;
}

void EmbeddedPostgres::Stop() {
  state_->Stop();
}

EmbeddedStats EmbeddedPostgres::Stats() const {
  return {.restarts = state_->restarts, .server_pid = state_->server_pid};
}

}  // namespace gathering::db
