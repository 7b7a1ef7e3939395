#pragma once
// A listening socket on a loop.  Whatever accept reports, the socket stays open: what is wrong
// with one client is skipped, and when the system has run out of something the listener rests
// for a moment and tries again.
#include <sys/socket.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "core/base/fd.h"
#include "daemon/loop/loop.h"

namespace gathering::http {

inline constexpr int kBacklog = 4'096;                        // the kernel lowers it to net.core.somaxconn
inline constexpr int kAcceptsPerTurn = 64;                    // then the others' turn
inline constexpr std::chrono::milliseconds kAcceptRest{100};  // after the system ran out of something

enum class Audience : std::uint8_t { kClients, kAdministrators };

class Listener final : public loop::Watcher, private loop::Timer {
 public:
  // A client's socket (non-blocking, close-on-exec) and its address without port, kUnixPeer or kControlPeer.
  using OnAccept = std::function<void(int descriptor, std::string peer)>;

  // Binds "HOST:PORT", "[::1]:PORT" or "unix:/path"; throws kUnavailable naming it.  A socket file that
  // nobody listens on any more is replaced.  A new one can be opened by its owner and group (mode 0660), or
  // for kAdministrators, who need a path, by its owner alone (0600).
  Listener(loop::Loop& loop, const std::string& address, Audience audience, OnAccept on_accept);

  // On a socket that listens already and is somebody else's: its file stays when this one closes, and who
  // connects then waits for the next to accept.  For kAdministrators it is a Unix-domain socket.
  Listener(loop::Loop& loop, Fd listening, Audience audience, OnAccept on_accept);
  ~Listener() override;

  // What was really bound: "127.0.0.1:43123", "[::1]:8000", "unix:/path" or, given as a socket, "unix:@name".
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] Audience audience() const { return audience_; }

  // How long the kernel keeps, for each client, what was sent and is not taken; then it drops the connection.
  void BoundUnacknowledged(std::chrono::milliseconds time);

  // On the loop's thread.
  void Begin();
  void AcceptAll();  // all who wait now, without a bound
  void Close();      // also removes the socket file, if it is still ours

  void OnEvents(std::uint32_t events) override;

 private:
  enum class Outcome : std::uint8_t { kAccepted, kNobody, kExhausted };

  void OnDeadline() override;
  Outcome AcceptOne();
  [[nodiscard]] std::string PeerOf(const sockaddr_storage& from) const;
  void BindUnix(const std::string& path);
  void BindInternet(const std::string& address);

  loop::Loop& loop_;
  const Audience audience_;
  const OnAccept on_accept_;
  int descriptor_ = -1;
  std::string address_;
  bool internet_ = true;
  std::string path_;  // of a socket file we made
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace gathering::http
