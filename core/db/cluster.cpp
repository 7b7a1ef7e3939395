#include "core/db/cluster.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/db/connection.h"

namespace gathering::db {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::string_view kRole = "gathering";  // of the superuser and of the database
constexpr std::size_t kSocketPathMax = 107;      // of sockaddr_un::sun_path, without its NUL
constexpr std::string_view kSocketName = "/.s.PGSQL.5432";
constexpr std::uintmax_t kLogBytesMax = 16u * 1024 * 1024;  // beyond: emptied at the next start
constexpr int kOldestMajor = 14;                            // has recovery_init_sync_method
constexpr std::chrono::seconds kInitTimeout{300};
constexpr milliseconds kLeftoverTimeout{1'000};

bool IsRoot() {
  return geteuid() == 0;
}

// Written beside and renamed, so that nobody ever reads half of it.
void WriteFile(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());
  const Fd file{open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)};
  if (!file.valid()) throw SystemError("cannot write", fresh);
  fchmod(file.get(), 0644);  // whatever the umask: the server's user reads it
  const bool written = write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || rename(fresh.c_str(), path.c_str()) != 0) throw SystemError("cannot write", path);
}

// A text of postgresql.conf.
std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

// The same every time, on every machine (FNV-1a).
std::string NameOf(std::string_view data_dir) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : data_dir) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return fmt::format("gathering-{:016x}", hash);
}

std::vector<std::string> ServerEnvironment() {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC"};
}

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
  const auto major = LeadingNumber(std::string_view{answer}.substr(at + kBefore.size()));
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

// The server's processes of one cluster, found by what everybody may read: the postmaster by its
// arguments, the others by the cluster's name in their titles.
std::vector<pid_t> ServerProcesses(const ClusterPaths& paths, uid_t uid) {
  std::vector<pid_t> pids;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{"/proc", ignored}) {
    const auto pid = LeadingNumber(entry.path().filename().string());
    struct stat about {};
    if (!pid || stat(entry.path().c_str(), &about) != 0 || about.st_uid != uid) continue;
    const std::string command = ReadText((entry.path() / "cmdline").string());
    const std::string program = command.substr(0, command.find('\0'));
    const bool postmaster =
        program.ends_with("/postgres") &&
        command.substr(program.size()).starts_with(std::string{"\0-D\0", 4} + paths.cluster + '\0');
    if (postmaster || command.starts_with("postgres: " + paths.name + ": ")) pids.push_back(*pid);
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

// PostgreSQL refuses a cluster while a process with the number of the last server exists, even one that
// is dead and not reaped by its new parent yet, or one that merely got the number later.
void ForgetIfDead(const std::string& path) {
  const auto pid = LeadingNumber(ReadText(path));
  if (!pid) return;
  const std::string about = ReadText(fmt::format("/proc/{}/stat", *pid));  // "17 (postgres) S 1 …"
  const std::size_t open = about.find('(');
  const std::size_t close = about.rfind(") ");
  if (open == std::string::npos || close == std::string::npos) return;
  const bool server = about.compare(open, close - open, "(postgres") == 0;
  const bool dead = about.compare(close + 2, 1, "Z") == 0;
  if (!server || dead) unlink(path.c_str());
}

bool FitsSocket(const std::string& directory) {
  // libpq would take a comma for the end of the host.
  return directory.size() + kSocketName.size() <= kSocketPathMax && directory.find(',') == std::string::npos;
}

std::string ServerSettings(const EmbeddedOptions& options, const ClusterPaths& paths,
                           const std::string& socket_dir) {
  const std::string local = paths.data_dir + "/postgresql.local.conf";
  std::string directory = "\"";  // in a list of directories
  for (const char c : socket_dir) directory += c == '"' ? "\"\"" : std::string(1, c);
  directory += '"';
  return fmt::format(
      "# Written by gathering at every start.  Settings of yours belong into postgresql.local.conf.\n"
      "include = {}\n"  // what initdb found out about this machine
      "listen_addresses = ''\n"
      "port = 5432\n"
      "unix_socket_directories = {}\n"
      "unix_socket_permissions = 0700\n"
      "hba_file = {}\n"
      "ident_file = {}\n"
      "cluster_name = {}\n"
      "max_connections = {}\n"
      "shared_buffers = 128MB\n"
      "fsync = {}\n"
      "full_page_writes = {}\n"
      "synchronous_commit = {}\n"
      "max_wal_size = 256MB\n"  // bounds recovery after a crash
      "min_wal_size = 80MB\n"
      "recovery_init_sync_method = syncfs\n"  // one call instead of one for each file
      "jit = off\n"
      "autovacuum_naptime = 5s\n"  // until then plans made on empty tables are kept
      "timezone = 'UTC'\n"
      "log_timezone = 'UTC'\n"
      "datestyle = 'iso'\n"
      "lc_messages = 'C'\n"
      "logging_collector = off\n"
      "log_destination = 'stderr'\n"
      "log_line_prefix = '%m [%p] %q%a '\n"
      "log_checkpoints = off\n"
      "{}\n",
      Quoted(paths.cluster + "/postgresql.conf"), Quoted(directory), Quoted(paths.data_dir + "/pg_hba.conf"),
      Quoted(paths.data_dir + "/pg_ident.conf"), Quoted(paths.name), options.connections_max,
      options.durable ? "on" : "off", options.durable ? "on" : "off", options.durable ? "on" : "off",
      fs::exists(local) ? "include = " + Quoted(local) : "");
}

void RunToEnd(const ClusterPaths& paths, const ChildOptions& child_options) {
  Child child{child_options};
  const std::string& program = child_options.arguments.front();
  if (!child.Wait(kInitTimeout)) throw Away(program + " took too long", LastComplaint(paths));
  if (!child.succeeded()) {
    throw Away(fmt::format("{} failed ({}); see {}", program, child.HowEnded(), paths.log),
               LastComplaint(paths));
  }
}

}  // namespace

ClusterPaths::ClusterPaths(std::string data_directory)
    : data_dir(std::move(data_directory)),
      cluster(data_dir + "/postgres"),
      log(data_dir + "/postgres.log"),
      lock(data_dir + "/gathering.lock"),
      settings(data_dir + "/postgresql.conf"),
      name(NameOf(data_dir)) {}

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
                fmt::format("PostgreSQL's server programs were not found in {}; install the Debian package "
                            "postgresql, or set database.binaries_dir to the directory of `postgres` and "
                            "`initdb`",
                            given ? options.binaries_dir : "/usr/lib/postgresql/*/bin or the usual places")};
  }
  if (wanted && best->major != *wanted) {
    throw Error{
        Code::kRejected,
        fmt::format("the cluster in {}/postgres was made by PostgreSQL {}, but {} holds PostgreSQL {}; "
                    "install postgresql-{}, set database.binaries_dir, or upgrade it with pg_upgrade",
                    options.data_dir, *wanted, best->directory, best->major, *wanted)};
  }
  return *best;
}

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
                "PostgreSQL does not run as root, and there is no user gathering or postgres; run "
                "`adduser --system --group gathering`, or set database.embedded_user"};
  }
  if (cluster_owner && *cluster_owner != account->uid) {
    const auto owner = FindAccount(*cluster_owner);
    throw Error{
        Code::kRejected,
        fmt::format("{}/postgres belongs to the user {}, but the server would run as {}; be that user, "
                    "or give another --data-dir",
                    options.data_dir, owner ? owner->name : fmt::format("{}", *cluster_owner),
                    account->name)};
  }
  return *account;
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
              fmt::format("PostgreSQL runs as the user {}, who cannot enter {} on the way to {}; "
                          "run `chmod o+x {}`, or choose another data directory with --data-dir",
                          account.name, *closed, data_dir, *closed)};
}

ChildOptions ServerCommand(const ClusterPaths& paths, const Account& account,
                           std::vector<std::string> arguments, const Fd& output) {
  ChildOptions command{.arguments = std::move(arguments),
                       .environment = ServerEnvironment(),
                       .directory = paths.data_dir,
                       .output = output.get()};
  if (IsRoot()) command.account = account;
  return command;
}

void MakeCluster(const EmbeddedOptions& options, const ClusterPaths& paths, const Binaries& binaries,
                 const Account& account) {
  const std::string fresh = paths.cluster + ".new";
  std::error_code error;
  fs::remove_all(fresh, error);
  if (error || mkdir(fresh.c_str(), 0700) != 0) throw SystemError("cannot make", fresh);
  if (IsRoot() && lchown(fresh.c_str(), account.uid, account.gid) != 0)
    throw SystemError("cannot own", fresh);
  log::Info("making a PostgreSQL cluster", {{"directory", paths.cluster}, {"version", binaries.major}});
  const Fd output = OpenLog(paths);
  std::vector<std::string> initdb{binaries.directory + "/initdb",
                                  "--pgdata=" + fresh,
                                  fmt::format("--username={}", kRole),
                                  "--auth=peer",
                                  "--encoding=UTF8",
                                  "--locale=C.UTF-8",
                                  "--no-instructions",
                                  "--no-sync"};
  if (options.durable) initdb.emplace_back("--data-checksums");
  RunToEnd(paths, ServerCommand(paths, account, std::move(initdb), output));

  // The database too, before there is a server: nothing is ever seen without it.
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw SystemError("cannot make", fresh);
  const Fd input{ends[0]};
  Fd writer{ends[1]};
  const std::string script = fmt::format("CREATE DATABASE {};\n", kRole);
  if (write(writer.get(), script.data(), script.size()) < 0) throw SystemError("cannot make", fresh);
  writer.Reset();
  ChildOptions single = ServerCommand(paths, account,
                                      {binaries.directory + "/postgres", "--single", "-D", fresh, "-c",
                                       "exit_on_error=on", "-c", "fsync=off", "template1"},
                                      output);
  single.input = input.get();
  RunToEnd(paths, single);

  const Fd directory{open(paths.data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (options.durable && syncfs(directory.get()) != 0) throw SystemError("cannot save", fresh);
  if (rename(fresh.c_str(), paths.cluster.c_str()) != 0) throw SystemError("cannot make", paths.cluster);
  if (options.durable && fsync(directory.get()) != 0) throw SystemError("cannot save", paths.cluster);
}

void EndLeftovers(const ClusterPaths& paths, const Account& account, const Clock& clock) {
  for (const int signal : {SIGQUIT, SIGKILL}) {
    std::vector<Fd> pidfds;
    for (const pid_t pid : ServerProcesses(paths, account.uid)) {
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

void ForgetDeadServer(const ClusterPaths& paths, const std::string& socket_dir) {
  ForgetIfDead(paths.cluster + "/postmaster.pid");
  ForgetIfDead(fmt::format("{}{}.lock", socket_dir, kSocketName));
}

std::string ChooseSocketDir(const ClusterPaths& paths) {
  const std::string natural = paths.data_dir + "/run";
  if (FitsSocket(natural)) return natural;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/' && !IsRoot()) {
    const std::string private_one = fmt::format("{}/{}", runtime, paths.name);
    if (FitsSocket(private_one)) return private_one;
  }
  return "/tmp/" + paths.name;
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

// Root and the server's user may be the superuser `gathering`; the socket keeps all others out anyway.
void WriteServerFiles(const EmbeddedOptions& options, const ClusterPaths& paths,
                      const std::string& socket_dir, const Account& account) {
  WriteFile(paths.settings, ServerSettings(options, paths, socket_dir));
  const bool known = !account.name.empty();  // a container may run under a number nobody named
  WriteFile(paths.data_dir + "/pg_hba.conf",
            known ? "local all all peer map=gathering\n" : "local all all trust\n");
  WriteFile(paths.data_dir + "/pg_ident.conf", fmt::format("gathering root {}\ngathering \"{}\" {}\n", kRole,
                                                           known ? account.name : "root", kRole));
}

Fd OpenLog(const ClusterPaths& paths) {
  std::error_code ignored;
  const bool large = fs::file_size(paths.log, ignored) > kLogBytesMax && !ignored;
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | (large ? O_TRUNC : 0);
  Fd file{open(paths.log.c_str(), flags, 0640)};
  if (!file.valid()) throw SystemError("cannot write", paths.log);
  return file;
}

std::string LastComplaint(const ClusterPaths& paths) {
  const auto lines = Lines(ReadText(paths.log));
  const auto complains = [](const std::string& line) {
    return line.find("FATAL:") != std::string::npos || line.find("PANIC:") != std::string::npos ||
           line.find("rror:") != std::string::npos;
  };
  const auto found = std::find_if(lines.rbegin(), lines.rend(), complains);
  if (found != lines.rend()) return *found;
  return lines.empty() ? "" : lines.back();
}

std::string ConnectionText(const std::string& socket_dir) {
  std::string host;
  for (const char c : socket_dir) {
    if (c == '\'' || c == '\\') host += '\\';
    host += c;
  }
  return fmt::format("host='{}' port=5432 user={} dbname={}", host, kRole, kRole);
}

Error SystemError(std::string_view what, const std::string& path) {
  return Error{Code::kRejected, fmt::format("{} {}: {}", what, path, std::strerror(errno))};
}

Error Away(std::string message, std::string cause) {
  return Unavailable(std::move(message), kRetryAfter, std::move(cause));
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

std::optional<int> LeadingNumber(std::string_view text) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop == text.data()) return std::nullopt;
  return value;
}

}  // namespace gathering::db
