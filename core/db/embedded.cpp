#include "core/db/embedded.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/base/child.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/db/connection.h"

namespace gathering::db {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kRole = "gathering";  // of the superuser and of the database
constexpr int kOldestMajor = 13;
constexpr std::size_t kSocketPathMax = 107;  // of sockaddr_un::sun_path, without its NUL
constexpr std::string_view kSocketName = "/.s.PGSQL.5432";
constexpr std::uintmax_t kLogBytesMax = 16u * 1024 * 1024;  // beyond: emptied at the next start
constexpr std::size_t kLogTailBytes = 2'048;
constexpr seconds kStartTimeout{120};  // crash recovery included
constexpr seconds kJoinTimeout{120};
constexpr seconds kInitTimeout{300};
constexpr milliseconds kFastStopTimeout{10'000};
constexpr milliseconds kForcedStopTimeout{5'000};
constexpr milliseconds kLeftoverTimeout{1'000};
constexpr milliseconds kRestartDelayMin{100};
constexpr milliseconds kRestartDelayMax{2'000};
constexpr seconds kSteadyAfter{10};      // having run for so long, a server's death is its first again
constexpr milliseconds kLookAgain{200};  // in case a file changed unseen
constexpr seconds kRetryAfter{1};

// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { Reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    Reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

Error SystemError(std::string_view what, const std::string& path) {
  return Error{Code::kRejected, fmt::format("{} {}: {}", what, path, std::strerror(errno))};
}

std::string ReadText(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

template <class T>
std::optional<T> ParseNumber(std::string_view text) {
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop == text.data()) return std::nullopt;
  return value;
}

// Written beside and renamed, so that nobody ever reads half of it.
void WriteFile(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());
  const Fd file{open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)};
  if (!file.valid()) throw SystemError("cannot write", fresh);
  fchmod(file.get(), 0644);
  const bool written = write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || rename(fresh.c_str(), path.c_str()) != 0) throw SystemError("cannot write", path);
}

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

// The same every time, on every machine (FNV-1a).
std::string NameOf(const std::string& data_dir) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : data_dir) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return fmt::format("gathering-{:016x}", hash);
}

std::vector<std::string> ServerEnvironment() {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC"};
}

// --- binaries ------------------------------------------------------------------------------------

struct Binaries {
  std::string directory;
  int major = 0;
};

// Runs "postgres --version": "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)".
std::optional<Binaries> Inspect(const std::string& directory) {
  const std::string server = directory + "/postgres";
  if (access(server.c_str(), X_OK) != 0 || access((directory + "/initdb").c_str(), X_OK) != 0)
    return std::nullopt;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw SystemError("cannot ask", server);
  const Fd reader{ends[0]};
  Fd writer{ends[1]};
  Child child{
      {.arguments = {server, "--version"}, .environment = ServerEnvironment(), .output = writer.get()}};
  writer.Reset();
  std::string answer(256, '\0');
  const ssize_t size = read(reader.get(), answer.data(), answer.size());
  child.Wait(milliseconds{-1});
  constexpr std::string_view kBefore = "(PostgreSQL) ";
  answer.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  const std::size_t at = answer.find(kBefore);
  if (!child.succeeded() || at == std::string::npos) return std::nullopt;
  const auto major = ParseNumber<int>(std::string_view{answer}.substr(at + kBefore.size()));
  if (!major) return std::nullopt;
  return Binaries{.directory = directory, .major = *major};
}

std::vector<std::string> UsualDirectories() {
  std::vector<std::string> directories;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{"/usr/lib/postgresql", ignored}) {
    directories.push_back((entry.path() / "bin").string());
  }
  std::sort(directories.begin(), directories.end(), std::greater<>{});
  for (const char* fixed : {"/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"})
    directories.emplace_back(fixed);
  return directories;
}

// `wanted` is the version of an existing cluster; without one the newest binaries are taken.
Binaries FindBinaries(const EmbeddedOptions& options, std::optional<int> wanted) {
  const bool given = !options.binaries_dir.empty();
  const auto directories = given ? std::vector{options.binaries_dir} : UsualDirectories();
  std::optional<Binaries> best;
  for (const auto& directory : directories) {
    const auto found = Inspect(directory);
    if (!found || found->major < kOldestMajor) continue;
    if (wanted && found->major == *wanted) return *found;
    if (!best || found->major > best->major) best = found;
  }
  if (!best) {
    throw Error{Code::kUnavailable,
                fmt::format("PostgreSQL's server programs were not found in {}: install the Debian package "
                            "postgresql-15 (or postgresql), or set database.binaries_dir to the directory of "
                            "`postgres` and `initdb`",
                            given ? options.binaries_dir : "/usr/lib/postgresql/*/bin or the usual places")};
  }
  if (wanted && best->major != *wanted) {
    throw Error{
        Code::kRejected,
        fmt::format("the cluster in {}/postgres was made by PostgreSQL {}, but {} holds PostgreSQL {}: "
                    "install postgresql-{}, set database.binaries_dir, or upgrade it with pg_upgrade",
                    options.data_dir, *wanted, best->directory, best->major, *wanted)};
  }
  return *best;
}

// --- processes that were left behind -------------------------------------------------------------

// The server's processes of one cluster, found by what everybody may read: the postmaster by its
// arguments, the others by the cluster's name in their titles.
std::vector<pid_t> ServerProcesses(const std::string& cluster_dir, const std::string& cluster_name,
                                   uid_t uid) {
  std::vector<pid_t> pids;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{"/proc", ignored}) {
    const auto pid = ParseNumber<pid_t>(entry.path().filename().string());
    struct stat about {};
    if (!pid || stat(entry.path().c_str(), &about) != 0 || about.st_uid != uid) continue;
    const std::string command = ReadText((entry.path() / "cmdline").string());
    const std::string program = command.substr(0, command.find('\0'));
    const bool postmaster =
        program.ends_with("/postgres") &&
        command.substr(program.size()).starts_with(std::string{"\0-D\0", 4} + cluster_dir + '\0');
    if (postmaster || command.starts_with("postgres: " + cluster_name + ": ")) pids.push_back(*pid);
  }
  return pids;
}

bool AllEnd(const std::vector<Fd>& pidfds, milliseconds timeout, const Clock& clock) {
  const auto give_up_at = clock.Now() + timeout;
  for (const auto& pidfd : pidfds) {
    pollfd watched{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    const auto left = std::chrono::duration_cast<milliseconds>(give_up_at - clock.Now());
    if (poll(&watched, 1, static_cast<int>(std::max(left, milliseconds{0}).count())) == 0) return false;
  }
  return true;
}

void EndLeftovers(const std::string& cluster_dir, const std::string& cluster_name, uid_t uid,
                  const Clock& clock) {
  for (const int signal : {SIGQUIT, SIGKILL}) {
    std::vector<Fd> pidfds;
    for (const pid_t pid : ServerProcesses(cluster_dir, cluster_name, uid)) {
      Fd pidfd{static_cast<int>(syscall(SYS_pidfd_open, pid, 0U))};
      if (pidfd.valid() && syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0U) == 0)
        pidfds.push_back(std::move(pidfd));
    }
    if (pidfds.empty()) break;
    log::Warn("ending PostgreSQL processes that were left behind",
              {{"processes", pidfds.size()}, {"signal", signal}});
    if (AllEnd(pidfds, kLeftoverTimeout, clock)) break;
  }
}

// A server that is dead but was not reaped by its new parent looks alive to PostgreSQL, whose next
// start would refuse the cluster for its sake.
void ForgetZombie(const std::string& cluster_dir) {
  const std::string path = cluster_dir + "/postmaster.pid";
  const auto pid = ParseNumber<pid_t>(ReadText(path));
  if (!pid) return;
  const std::string about = ReadText(fmt::format("/proc/{}/stat", *pid));
  const std::size_t state = about.rfind(") ");
  if (state != std::string::npos && about.substr(state + 2).starts_with('Z')) unlink(path.c_str());
}

// --- the data directory --------------------------------------------------------------------------

bool IsRoot() {
  return geteuid() == 0;
}

// Private to its owner; but a server that runs as another user must be able to walk through.
std::string MakeDataDir(const std::string& wanted) {
  if (wanted.empty()) throw Error{Code::kRejected, "no data directory is configured"};
  std::error_code error;
  const fs::path path = fs::absolute(wanted, error);
  const bool fresh = !error && fs::create_directories(path, error);
  const fs::path real = error ? path : fs::canonical(path, error);
  if (error) {
    throw Error{Code::kRejected,
                fmt::format("cannot use the data directory {}: {}", path.string(), error.message())};
  }
  if (fresh) chmod(real.c_str(), IsRoot() ? 0711 : 0700);
  return real.string();
}

void LetIn(const Account& account, const std::string& data_dir) {
  auto closed = FirstClosedDirectory(data_dir, account);
  struct stat about {};
  if (closed == data_dir && stat(data_dir.c_str(), &about) == 0 &&
      chmod(data_dir.c_str(), (about.st_mode & 07777) | S_IXOTH) == 0) {
    log::Info("the data directory may now be passed through",
              {{"directory", data_dir}, {"for", account.name}});
    closed.reset();
  }
  if (!closed) return;
  throw Error{Code::kRejected,
              fmt::format("PostgreSQL runs as the user {}, who cannot enter {} on the way to {}: "
                          "run `chmod o+x {}`, or choose another data directory with --data-dir",
                          account.name, *closed, data_dir, *closed)};
}

// Who runs the server.  `cluster_owner` is nobody when there is no cluster yet.
Account ChooseAccount(const EmbeddedOptions& options, std::optional<uid_t> cluster_owner) {
  std::optional<Account> account;
  if (!IsRoot()) {
    account = FindAccount(geteuid());
    if (!account) account = Account{.name = "", .uid = geteuid(), .gid = getegid(), .groups = {}};
  } else if (!options.run_as.empty()) {
    account = FindAccount(options.run_as);
    if (!account || account->uid == 0) {
      throw Error{Code::kRejected,
                  fmt::format("database.embedded_user: \"{}\" is not an ordinary user of this system",
                              options.run_as)};
    }
  } else if (cluster_owner && *cluster_owner != 0) {
    account = FindAccount(*cluster_owner);
  } else {
    account = FindAccount("gathering");
    if (!account) account = FindAccount("postgres");
  }
  if (!account) {
    throw Error{Code::kRejected,
                "PostgreSQL does not run as root, and there is no user gathering or postgres: run "
                "`adduser --system --group gathering`, or set database.embedded_user"};
  }
  if (cluster_owner && *cluster_owner != account->uid) {
    const auto owner = FindAccount(*cluster_owner);
    throw Error{
        Code::kRejected,
        fmt::format("{}/postgres belongs to the user {}, but the server would run as {}", options.data_dir,
                    owner ? owner->name : fmt::format("{}", *cluster_owner), account->name)};
  }
  return *account;
}

bool FitsSocket(const std::string& directory) {
  // libpq would take a comma for the end of the host.
  return directory.size() + kSocketName.size() <= kSocketPathMax && directory.find(',') == std::string::npos;
}

std::string ChooseSocketDir(const std::string& data_dir) {
  const std::string natural = data_dir + "/run";
  if (FitsSocket(natural)) return natural;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/' && !IsRoot()) {
    const std::string private_one = fmt::format("{}/{}", runtime, NameOf(data_dir));
    if (FitsSocket(private_one)) return private_one;
  }
  return "/tmp/" + NameOf(data_dir);
}

// The directory must be the server's alone: /tmp is everybody's.
void MakeSocketDir(const std::string& directory, const Account& account) {
  if (mkdir(directory.c_str(), 0700) == 0) {
    if (IsRoot() && lchown(directory.c_str(), account.uid, account.gid) != 0)
      throw SystemError("cannot own", directory);
    return;
  }
  struct stat about {};
  if (errno != EEXIST || lstat(directory.c_str(), &about) != 0) throw SystemError("cannot make", directory);
  if (!S_ISDIR(about.st_mode) || about.st_uid != account.uid || (about.st_mode & 077) != 0) {
    throw Error{Code::kRejected, fmt::format("{} is not a private directory of the user {}: remove it",
                                             directory, account.name)};
  }
}

std::string ServerSettings(const EmbeddedOptions& options, const std::string& socket_dir) {
  std::string directory = "\"";  // in a list of directories
  for (const char c : socket_dir) directory += c == '"' ? "\"\"" : std::string(1, c);
  directory += '"';
  return fmt::format(
      "# Written by gathering at every start.  Settings of yours belong into postgresql.local.conf.\n"
      "listen_addresses = ''\n"
      "port = 5432\n"
      "unix_socket_directories = {}\n"
      "unix_socket_permissions = 0700\n"
      "hba_file = {}\n"
      "ident_file = {}\n"
      "cluster_name = {}\n"
      "max_connections = {}\n"
      "shared_buffers = 128MB\n"
      "dynamic_shared_memory_type = posix\n"
      "fsync = {}\n"
      "full_page_writes = {}\n"
      "synchronous_commit = {}\n"
      "max_wal_size = 256MB\n"  // bounds recovery after a crash
      "min_wal_size = 80MB\n"
      "recovery_init_sync_method = syncfs\n"  // one call instead of one for each file
      "jit = off\n"
      "timezone = 'UTC'\n"
      "log_timezone = 'UTC'\n"
      "datestyle = 'iso'\n"
      "lc_messages = 'C'\n"
      "logging_collector = off\n"
      "log_destination = 'stderr'\n"
      "log_line_prefix = '%m [%p] %q%a '\n"
      "log_checkpoints = off\n"
      "include_if_exists = {}\n",
      Quoted(directory), Quoted(options.data_dir + "/pg_hba.conf"),
      Quoted(options.data_dir + "/pg_ident.conf"), Quoted(NameOf(options.data_dir)), options.connections_max,
      options.durable ? "on" : "off", options.durable ? "on" : "off", options.durable ? "on" : "off",
      Quoted(options.data_dir + "/postgresql.local.conf"));
}

// Root and the server's user may be the superuser `gathering`; the socket keeps all others out anyway.
void WriteServerFiles(const EmbeddedOptions& options, const std::string& socket_dir, const Account& account) {
  WriteFile(options.data_dir + "/postgresql.conf", ServerSettings(options, socket_dir));
  const bool known = !account.name.empty();  // a container may run under a number nobody named
  WriteFile(options.data_dir + "/pg_hba.conf",
            known ? "local all all peer map=gathering\n" : "local all all trust\n");
  WriteFile(options.data_dir + "/pg_ident.conf", fmt::format("gathering root {}\ngathering \"{}\" {}\n",
                                                             kRole, known ? account.name : "root", kRole));
}

Fd OpenLog(const std::string& path) {
  std::error_code ignored;
  const bool large = fs::file_size(path, ignored) > kLogBytesMax && !ignored;
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | (large ? O_TRUNC : 0);
  Fd file{open(path.c_str(), flags, 0640)};
  if (!file.valid()) throw SystemError("cannot write", path);
  return file;
}

std::string LogTail(const std::string& path) {
  const std::string text = ReadText(path);
  return text.substr(text.size() - std::min(text.size(), kLogTailBytes));
}

std::string ConnectionText(const std::string& socket_dir) {
  std::string host;
  for (const char c : socket_dir) {
    if (c == '\'' || c == '\\') host += '\\';
    host += c;
  }
  return fmt::format("host='{}' port=5432 user={} dbname={}", host, kRole, kRole);
}

Error Away(std::string message, std::string cause = {}) {
  return Unavailable(std::move(message), kRetryAfter, std::move(cause));
}

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
  std::vector<std::string> ReadLock() const { return Lines(ReadText(lock_path_)); }
  void WriteLock(const std::string& text) const;
  bool TryJoin();
  void JoinOrOwn();
  void WaitForChange(const Fd& changes, milliseconds timeout) const;
  Fd WatchChanges() const;
  void Own();
  void Initialise(const Binaries& binaries);
  void RunToEnd(const ChildOptions& child_options) const;
  ChildOptions Command(std::vector<std::string> arguments, const Fd& output) const;

  // On the supervisor's thread:
  void Supervise(std::promise<void> started);
  void RunServer(std::optional<std::promise<void>>& first);
  bool StopWanted(milliseconds timeout) const;
  bool AwaitReady(Child& server) const;
  bool IsReady(pid_t server) const;
  void End(Child& server);

  const Clock& clock_;
  const std::string lock_path_;
  const std::string cluster_dir_;
  const std::string log_path_;
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
      lock_path_(options.data_dir + "/gathering.lock"),
      cluster_dir_(options.data_dir + "/postgres"),
      log_path_(options.data_dir + "/postgres.log"),
      lock_(open(lock_path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644)) {
  if (!lock_.valid()) throw SystemError("cannot lock", lock_path_);
  if (TryLock()) {
    Own();
  } else if (sharing == Sharing::kJoin) {
    JoinOrOwn();
  } else {
    const auto lines = ReadLock();
    throw Away(fmt::format("the data directory {} is in use by gathering pid {}", options.data_dir,
                           lines.empty() ? "(starting)" : lines.front()));
  }
}

void EmbeddedPostgres::State::WriteLock(const std::string& text) const {
  if (pwrite(lock_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ftruncate(lock_.get(), static_cast<off_t>(text.size())) != 0) {
    throw SystemError("cannot write", lock_path_);
  }
}

Fd EmbeddedPostgres::State::WatchChanges() const {
  Fd changes{inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  constexpr std::uint32_t kEvents = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO;
  for (const auto& directory : {options.data_dir, cluster_dir_}) {
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
  while (!TryJoin()) {
    if (TryLock()) return Own();
    if (clock_.Now() >= give_up_at) {
      const auto lines = ReadLock();
      throw Away(fmt::format("the PostgreSQL of {} does not answer; gathering pid {} should run it",
                             options.data_dir, lines.empty() ? "unknown" : lines.front()));
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
  const bool exists = stat(cluster_dir_.c_str(), &about) == 0;
  account_ = ChooseAccount(options, exists ? std::optional{about.st_uid} : std::nullopt);
  if (IsRoot()) LetIn(account_, options.data_dir);
  std::optional<int> version;
  if (exists) {
    version = ParseNumber<int>(ReadText(cluster_dir_ + "/PG_VERSION"));
    if (!version) throw Error{Code::kRejected, fmt::format("{} is not a PostgreSQL cluster", cluster_dir_)};
  }
  const Binaries binaries = FindBinaries(options, version);
  server_program_ = binaries.directory + "/postgres";
  if (!exists) Initialise(binaries);
  EndLeftovers(cluster_dir_, NameOf(options.data_dir), account_.uid, clock_);
  socket_dir_ = ChooseSocketDir(options.data_dir);
  MakeSocketDir(socket_dir_, account_);
  WriteServerFiles(options, socket_dir_, account_);
  url = ConnectionText(socket_dir_);
  std::promise<void> started;
  auto outcome = started.get_future();
  supervisor_ =
      std::jthread{[this, promise = std::move(started)]() mutable { Supervise(std::move(promise)); }};
  try {
    outcome.get();
    const Connection probe{{.url = url}};
    WriteLock(fmt::format("{}\n{}\n", getpid(), socket_dir_));
  } catch (const Error&) {
    Stop();
    throw;
  }
}

ChildOptions EmbeddedPostgres::State::Command(std::vector<std::string> arguments, const Fd& output) const {
  ChildOptions command{.arguments = std::move(arguments),
                       .environment = ServerEnvironment(),
                       .directory = options.data_dir,
                       .output = output.get()};
  if (IsRoot()) command.account = account_;
  return command;
}

void EmbeddedPostgres::State::RunToEnd(const ChildOptions& child_options) const {
  Child child{child_options};
  const std::string& program = child_options.arguments.front();
  if (!child.Wait(kInitTimeout)) throw Away(program + " took too long", LogTail(log_path_));
  if (!child.succeeded()) {
    throw Away(fmt::format("{} failed ({}); see {}", program, child.HowEnded(), log_path_),
               LogTail(log_path_));
  }
}

// Made beside its place and renamed: an interrupted start leaves no half cluster.
void EmbeddedPostgres::State::Initialise(const Binaries& binaries) {
  const std::string fresh = cluster_dir_ + ".new";
  std::error_code error;
  fs::remove_all(fresh, error);
  if (error || mkdir(fresh.c_str(), 0700) != 0) throw SystemError("cannot make", fresh);
  if (IsRoot() && lchown(fresh.c_str(), account_.uid, account_.gid) != 0)
    throw SystemError("cannot own", fresh);
  log::Info("making a PostgreSQL cluster", {{"directory", cluster_dir_}, {"version", binaries.major}});
  const Fd output = OpenLog(log_path_);
  std::vector<std::string> initdb{binaries.directory + "/initdb",
                                  "--pgdata",
                                  fresh,
                                  "--username",
                                  std::string{kRole},
                                  "--auth",
                                  "peer",
                                  "--encoding",
                                  "UTF8",
                                  "--locale",
                                  "C.UTF-8",
                                  "--no-instructions", "--no-sync"};
  if (options.durable) initdb.emplace_back("--data-checksums");
  RunToEnd(Command(std::move(initdb), output));

  // The database too, before there is a server: nothing is ever seen without it.
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw SystemError("cannot make", fresh);
  const Fd input{ends[0]};
  Fd writer{ends[1]};
  const std::string script = fmt::format("CREATE DATABASE {};\n", kRole);
  if (write(writer.get(), script.data(), script.size()) < 0) throw SystemError("cannot make", fresh);
  writer.Reset();
  auto single = Command({server_program_, "--single", "-D", fresh, "-c", "exit_on_error=on", "-c", "fsync=off", "template1"},
                        output);
  single.input = input.get();
  RunToEnd(single);

  const Fd directory{open(options.data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (options.durable && syncfs(directory.get()) != 0) throw SystemError("cannot save", fresh);
  if (rename(fresh.c_str(), cluster_dir_.c_str()) != 0) throw SystemError("cannot make", cluster_dir_);
  if (options.durable && fsync(directory.get()) != 0) throw SystemError("cannot save", cluster_dir_);
  created = true;
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
    EndLeftovers(cluster_dir_, NameOf(options.data_dir), account_.uid, clock_);
    if (clock_.Now() - begin >= kSteadyAfter) delay = kRestartDelayMin;
    if (StopWanted(delay)) return;
    delay = std::min(delay * 2, kRestartDelayMax);
  }
}

// Returns when Stop has been called; throws when the server ends without that.
void EmbeddedPostgres::State::RunServer(std::optional<std::promise<void>>& first) {
  const Fd output = OpenLog(log_path_);
  ChildOptions command = Command(
      {server_program_, "-D", cluster_dir_, "-c", "config_file=" + options.data_dir + "/postgresql.conf"},
      output);
  command.death_signal = SIGQUIT;
  Child server{command};
  server_pid = server.pid();
  if (AwaitReady(server)) {
    log::Info("PostgreSQL is ready", {{"pid", server.pid()}, {"log", log_path_}});
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
  throw Away(fmt::format("PostgreSQL ended ({}); see {}", server.HowEnded(), log_path_), LogTail(log_path_));
}

// False when the server ended or Stop was called meanwhile.
bool EmbeddedPostgres::State::AwaitReady(Child& server) const {
  const auto give_up_at = clock_.Now() + kStartTimeout;
  const Fd changes = WatchChanges();
  while (!IsReady(server.pid())) {
    if (clock_.Now() >= give_up_at) {
      throw Away(fmt::format("PostgreSQL does not get ready; see {}", log_path_), LogTail(log_path_));
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
  const auto lines = Lines(ReadText(cluster_dir_ + "/postmaster.pid"));
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
    EndLeftovers(cluster_dir_, NameOf(options.data_dir), account_.uid, clock_);
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
