#include "core/doctor/ports.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/base/fd.h"
#include "core/base/text.h"
#include "core/config/listen.h"
#include "core/doctor/files.h"

namespace gathering::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManager = "systemd";
constexpr std::string_view kElsewhere = "stop it, or give another address in http.listen";

template <class T>
std::optional<T> Number(std::string_view text, int base) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string CommandOf(pid_t pid) {
  return std::string{Trimmed(ReadText(fmt::format("/proc/{}/comm", pid)))};
}

// By the processes that have one of the sockets open, of those we may look at.
Held ToHeld(const std::vector<ListeningInode>& sockets) {
  Held held;
  std::set<std::string> names;
  for (const ListeningInode& one : sockets) {
    names.insert(fmt::format("socket:[{}]", one.inode));
    held.by_root = held.by_root || one.uid == 0;
  }
  std::error_code ignored;
  for (const auto& process : fs::directory_iterator{"/proc", ignored}) {
    const auto pid = Number<pid_t>(process.path().filename().string(), 10);
    if (!pid) continue;
    const bool has = std::ranges::any_of(
        fs::directory_iterator{process.path() / "fd", ignored}, [&](const fs::directory_entry& file) {
          return names.contains(fs::read_symlink(file.path(), ignored).string());
        });
    if (!has) continue;
    if (CommandOf(*pid) == kManager) {
      held.by_manager = true;
    } else {
      held.pids.insert(*pid);
    }
  }
  return held;
}

std::optional<Held> UnixHeld(const std::string& path) {
  const auto sockets = UnixListeners(ReadText("/proc/net/unix"), path);
  if (sockets.empty()) return std::nullopt;
  struct stat about {};
  Held held = ToHeld(sockets);
  held.by_root = ::stat(path.c_str(), &about) == 0 && about.st_uid == 0;
  return held;
}

Held TcpHeld(std::uint16_t port) {
  std::vector<ListeningInode> sockets;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    for (const ListeningInode& one : TcpListeners(ReadText(table), port)) sockets.push_back(one);
  }
  return ToHeld(sockets);
}

// Whether it may be asked: connecting to what only systemd has would start the daemon.
bool MayAsk(const Held& held) {
  return !held.pids.empty() || !(held.by_manager || held.by_root);
}

// 0, or the errno of what the daemon would meet; as its listener binds.
int TryToBind(const addrinfo& at) {
  const Fd probe{::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!probe.valid()) return errno;
  const int on = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at.ai_family == AF_INET6) ::setsockopt(probe.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  return ::bind(probe.get(), at.ai_addr, at.ai_addrlen) == 0 ? 0 : errno;
}

class PortLook {
 public:
  explicit PortLook(const PortsOptions& options)
      : options_(options), place_(config::ParseListen(options.address).place) {}

  Finding Run() const {
    if (place_.starts_with(config::kUnixPrefix)) return Unix(place_.substr(config::kUnixPrefix.size()));
    return Internet();
  }

 private:
  Finding Internet() const {
    const std::size_t colon = place_.rfind(':');
    std::string host = place_.substr(0, colon);
    const std::string port = place_.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (const int unknown = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list); unknown != 0) {
      return Failed(options_.name, fmt::format("{}: {}", host, ::gai_strerror(unknown)),
                    "give an address of this machine in http.listen");
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned{list, &::freeaddrinfo};
    int error = 0;
    for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
      error = TryToBind(*one);
      if (error == 0) return Ok(options_.name, port == "0" ? "any free port" : "free");
    }
    return Refused(error, Number<std::uint16_t>(port, 10).value_or(0));
  }

  Finding Refused(int error, std::uint16_t port) const {
    if (error == EADDRINUSE) return JudgeHeld(options_.name, Ask(TcpHeld(port)));
    const std::string why = std::generic_category().message(error);
    if (error == EACCES) {
      return Failed(options_.name, fmt::format("{}: port {} is for privileged users", why, port),
                    "give a port from 1024 on, or the daemon CAP_NET_BIND_SERVICE");
    }
    return Failed(options_.name, why, "give an address of this machine in http.listen");
  }

  Finding Unix(const std::string& path) const {
    if (const auto held = UnixHeld(path)) return JudgeHeld(options_.name, Ask(*held));
    struct stat about {};
    if (::lstat(path.c_str(), &about) == 0 && !S_ISSOCK(about.st_mode)) {
      return Failed(options_.name, fmt::format("{} is there and no socket", path),
                    "move it away, or give another path");
    }
    if (path == options_.control_socket) return Ok(options_.name, "free");
    const std::string directory = fs::path{path}.parent_path().string();
    if (auto problem = DirectoryProblem(options_.name, directory)) return *std::move(problem);
    return Ok(options_.name, "free");
  }

  HeldAddress Ask(const Held& held) const {
    HeldAddress address{.address = options_.address, .held = held};
    if (MayAsk(held)) address.version = options_.ask(options_.address);
    if (options_.control_socket.empty()) return address;
    const auto ours = UnixHeld(options_.control_socket);
    address.ours = ours ? ours->pids : std::set<pid_t>{};
    return address;
  }

  const PortsOptions& options_;
  const std::string place_;
};

}  // namespace

std::vector<ListeningInode> TcpListeners(std::string_view text, std::uint16_t port) {
  std::vector<ListeningInode> found;
  for (const std::string& line : Split(text, '\n')) {
    // "0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 …"
    constexpr std::string_view kListening = "0A";
    constexpr std::size_t kUser = 7;
    constexpr std::size_t kInode = 9;
    const std::vector<std::string> words = Split(line, ' ');
    if (words.size() <= kInode || words[3] != kListening) continue;
    const auto at = Number<std::uint16_t>(std::string_view{words[1]}.substr(words[1].rfind(':') + 1), 16);
    const auto inode = Number<std::uint64_t>(words[kInode], 10);
    const auto uid = Number<uid_t>(words[kUser], 10);
    if (at == port && inode && uid) found.push_back({.inode = *inode, .uid = *uid});
  }
  return found;
}

std::vector<ListeningInode> UnixListeners(std::string_view text, std::string_view path) {
  std::vector<ListeningInode> found;
  for (const std::string& line : Split(text, '\n')) {
    // "0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/gathering.sock"
    constexpr std::string_view kListening = "00010000";
    constexpr std::size_t kInode = 6;
    const std::vector<std::string> words = Split(line, ' ');
    if (words.size() <= kInode + 1 || words[3] != kListening) continue;
    const auto inode = Number<std::uint64_t>(words[kInode], 10);
    if (inode && line.ends_with(fmt::format(" {}", path))) found.push_back({.inode = *inode});
  }
  return found;
}

Finding JudgeHeld(const std::string& name, const HeldAddress& held) {
  const std::set<pid_t>& pids = held.held.pids;
  if (held.version) {
    const bool known = !pids.empty() && held.ours;
    const bool same = known && std::ranges::any_of(pids, [&](pid_t pid) { return held.ours->contains(pid); });
    const std::string found = fmt::format("gathering {}{} serves there", *held.version,
                                          pids.empty() ? "" : fmt::format(", pid {},", *pids.rbegin()));
    if (!known || same) return Ok(name, found);
    return Warning(name, found + ", but not on this data directory", std::string{kElsewhere});
  }
  if (!pids.empty()) {
    const pid_t pid = *pids.rbegin();
    const std::string command = CommandOf(pid);
    return Failed(name,
                  fmt::format("{} (pid {}) listens there and does not answer as a gathering daemon",
                              command.empty() ? "a process" : command, pid),
                  std::string{kElsewhere});
  }
  if (held.held.by_manager) return Ok(name, "systemd keeps it for a daemon that is not started");
  if (held.held.by_root && ::geteuid() != 0)
    return Warning(name, "a process of root listens there", "run this as root to see which it is");
  return Failed(name, "somebody listens there and does not answer as a gathering daemon",
                std::string{kElsewhere});
}

Subject PortSubject(PortsOptions options) {
  return {.checks = {options.name}, .look = [options](const Tell& tell) { tell(PortLook{options}.Run()); }};
}

}  // namespace gathering::doctor
