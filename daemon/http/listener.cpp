#include "daemon/http/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/listen.h"
#include "daemon/http/message.h"

namespace gathering::http {
namespace {

using config::kUnixPrefix;

constexpr mode_t kSocketMode = 0660;
constexpr mode_t kControlSocketMode = 0600;

Error CannotListen(const std::string& address, std::string_view why) {
  return Error{Code::kUnavailable, fmt::format("cannot listen on {}: {}", address, why)};
}

int MakeSocket(int family) {
  return ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

void Enable(int descriptor, int level, int option) {
  const int on = 1;
  ::setsockopt(descriptor, level, option, &on, sizeof on);
}

// "127.0.0.1" for an IPv4 client of an IPv6 socket, too; empty for a Unix-domain socket.
std::string AddressText(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      ::inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text, sizeof text);
    } else {
      ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    }
  }
  return text;
}

// As http.listen would name it.
std::string BoundAddress(int descriptor) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return "unknown";
  if (bound.ss_family == AF_INET6) {
    char text[INET6_ADDRSTRLEN] = "";
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(bound);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
  }
  if (bound.ss_family == AF_INET) {
    return fmt::format("{}:{}", AddressText(bound), ntohs(reinterpret_cast<sockaddr_in&>(bound).sin_port));
  }
  const auto& local = reinterpret_cast<const sockaddr_un&>(bound);
  const std::size_t bytes = size - std::min<std::size_t>(size, offsetof(sockaddr_un, sun_path));
  std::string path(local.sun_path, std::min(bytes, sizeof local.sun_path));
  const bool abstract = path.starts_with('\0');
  if (abstract) path.front() = '@';
  return fmt::format("{}{}", kUnixPrefix, abstract ? path : path.substr(0, path.find('\0')));
}

// Whether somebody accepts connections at this socket file.
bool IsServed(const sockaddr_un& address) {
  const int probe = MakeSocket(AF_UNIX);
  if (probe < 0) return true;
  const bool refused = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                       errno == ECONNREFUSED;
  ::close(probe);
  return !refused;
}

}  // namespace

Listener::Listener(loop::Loop& loop, const std::string& address, Audience audience, OnAccept on_accept)
    : Timer(loop.timers()),
      loop_(loop),
      audience_(audience),
      on_accept_(std::move(on_accept)),
      address_(address) {
  try {
    if (address.starts_with(kUnixPrefix)) {
      BindUnix(address.substr(kUnixPrefix.size()));
    } else {
      BindInternet(address);
    }
  } catch (...) {
    if (descriptor_ >= 0) ::close(descriptor_);
    throw;
  }
}

Listener::Listener(loop::Loop& loop, Fd listening, Audience audience, OnAccept on_accept)
    : Timer(loop.timers()),
      loop_(loop),
      audience_(audience),
      on_accept_(std::move(on_accept)),
      descriptor_(listening.Release()),
      address_(BoundAddress(descriptor_)),
      internet_(!address_.starts_with(kUnixPrefix)) {}

Listener::~Listener() {
  Close();
}

// Clients' sockets inherit it.
void Listener::BoundUnacknowledged(std::chrono::milliseconds time) {
  const auto timeout = static_cast<unsigned>(time.count());
  // Fails for a Unix-domain socket, which keeps nothing for a peer that is gone.
  (void)::setsockopt(descriptor_, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

void Listener::BindUnix(const std::string& path) {
  internet_ = false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw CannotListen(address_,
                       fmt::format("the path must have 1 to {} bytes", sizeof address.sun_path - 1));
  }
  path.copy(address.sun_path, path.size());
  descriptor_ = MakeSocket(AF_UNIX);
  if (descriptor_ < 0) throw CannotListen(address_, std::strerror(errno));
  ::fchmod(descriptor_, S_IRUSR | S_IWUSR);  // until the mode below is set, nobody else may connect
  const auto bind = [&] {
    return ::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  };
  bool bound = bind();
  if (!bound && errno == EADDRINUSE) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) {
      throw CannotListen(address_, "something that is not a socket is there");
    }
    if (IsServed(address)) throw CannotListen(address_, "another process listens there");
    ::unlink(path.c_str());
    bound = bind();
  }
  if (!bound) throw CannotListen(address_, std::strerror(errno));
  path_ = path;
  struct stat made {};
  if (::lstat(path.c_str(), &made) == 0) {
    device_ = made.st_dev;
    inode_ = made.st_ino;
  }
  // Before anybody can connect.
  if (::chmod(path.c_str(), audience_ == Audience::kAdministrators ? kControlSocketMode : kSocketMode) != 0 ||
      ::listen(descriptor_, kBacklog) != 0)
    throw CannotListen(address_, std::strerror(errno));
}

void Listener::BindInternet(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) throw CannotListen(address, "it has no port");
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);

  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int unknown = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &list);
  if (unknown != 0) throw CannotListen(address, ::gai_strerror(unknown));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned{list, &::freeaddrinfo};

  int error = 0;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    descriptor_ = MakeSocket(one->ai_family);
    if (descriptor_ < 0) {
      error = errno;
      continue;
    }
    Enable(descriptor_, SOL_SOCKET, SO_REUSEADDR);  // and never SO_REUSEPORT: a second daemon must fail
    if (one->ai_family == AF_INET6) Enable(descriptor_, IPPROTO_IPV6, IPV6_V6ONLY);
    if (::bind(descriptor_, one->ai_addr, one->ai_addrlen) == 0 && ::listen(descriptor_, kBacklog) == 0)
      break;
    error = errno;
    ::close(std::exchange(descriptor_, -1));
  }
  if (descriptor_ < 0) throw CannotListen(address, std::strerror(error));

  address_ = BoundAddress(descriptor_);
}

// Told by the socket alone.
std::string Listener::PeerOf(const sockaddr_storage& from) const {
  if (internet_) return AddressText(from);
  return std::string{audience_ == Audience::kAdministrators ? kControlPeer : kUnixPeer};
}

void Listener::Begin() {
  // Level-triggered, so that who is left over is reported again.
  if (!loop_.Watch(descriptor_, EPOLLIN, *this)) SetDeadline(loop_.now() + kAcceptRest);
}

void Listener::Close() {
  if (descriptor_ < 0) return;
  ClearDeadline();
  if (!path_.empty()) {
    struct stat found {};
    if (::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_) {
      ::unlink(path_.c_str());
    }
  }
  loop_.Unwatch(descriptor_);
  ::close(std::exchange(descriptor_, -1));
}

void Listener::AcceptAll() {
  while (descriptor_ >= 0 && AcceptOne() == Outcome::kAccepted) {
  }
}

void Listener::OnEvents(std::uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn && descriptor_ >= 0; ++i) {
    const Outcome outcome = AcceptOne();
    if (outcome == Outcome::kAccepted) continue;
    if (outcome == Outcome::kExhausted) {
      loop_.Unwatch(descriptor_);
      SetDeadline(loop_.now() + kAcceptRest);
    }
    return;
  }
}

void Listener::OnDeadline() {
  Begin();
}

Listener::Outcome Listener::AcceptOne() {
  for (;;) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const int client =
        ::accept4(descriptor_, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0) {
      if (from.ss_family == AF_INET || from.ss_family == AF_INET6) Enable(client, IPPROTO_TCP, TCP_NODELAY);
      on_accept_(client, PeerOf(from));
      return Outcome::kAccepted;
    }
    switch (errno) {
      case EAGAIN:
        return Outcome::kNobody;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM: {
        const int error = errno;
        log::Warn("clients have to wait", {{"address", address_}, {"why", std::strerror(error)}});
        return Outcome::kExhausted;
      }
      case EBADF:
      case EINVAL:
      case ENOTSOCK:
        return Outcome::kExhausted;  // cannot be; better a rest than a spin
      default:
        break;  // that client is gone already, or its network is: the next one
    }
  }
}

}  // namespace gathering::http
