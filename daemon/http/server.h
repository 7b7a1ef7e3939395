#pragma once
// The HTTP front: listeners, one event loop per core, the gate, and cpp-httplib's
// engine on fibers.  It knows HTTP/1.1 framing (RFC 9112) and limits; what a request
// means is the handler's business.
//
// Loop 0 accepts and hands each connection to the loop with the fewest, so clients
// are spread evenly.  A connection belongs to one loop for life.  A complete request
// starts a fiber; requests of one connection are answered in order.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/service_manager.h"
#include "core/base/timestamp.h"
#include "core/config/config.h"
#include "core/config/control_socket.h"
#include "daemon/http/in_progress.h"
#include "daemon/http/message.h"

namespace gathering::loop {
class Loop;
}

namespace gathering::tls {
class Identity;
}

namespace gathering::http {

// Called on a fiber; must not block its thread (daemon/loop/fiber.h); may throw (answered with 500).
using Handler = std::function<void(const Request&, const Context&, Response&)>;

// Called on a fiber with a request of which only the head is there, before its body is read: false when it is
// not to go on, then the response is the answer.  Must not block or throw.
using Admit = std::function<bool(const Request&, const Context&, Response&)>;

// Called by the gate, on a loop, for answers it gives itself (400, 408, 413, 414, 431, 503, …):
// fills headers and the body so that they look like every other answer.  Must not throw or suspend.
using Refusal = std::function<void(int status, std::string_view detail, Response&)>;

struct ServerStats {
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;
  std::uint32_t connections_open = 0;
  std::uint32_t connections_max = 0;  // as configured, or fewer if the system allows fewer open files
  std::uint32_t requests_in_progress = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_refused_busy = 0;  // fibers_max
  std::uint64_t handler_failures = 0;       // handlers that threw, or answered with what cannot be sent
  std::uint64_t refused_by_gate = 0;        // every 4xx/5xx the gate gave
  std::uint64_t timeouts = 0;               // head, body, idle, write
  std::uint64_t handshakes = 0;             // of TLS, done
  std::uint64_t handshakes_failed = 0;
  std::optional<Timestamp> certificate_not_after;  // of what is shown under TLS, if anything is
  std::uint64_t loop_stalls = 0;  // a fiber held its loop for over 20 ms (debug builds name the request)
};

// What a loop is at.
struct LoopLook {
  bool turns = false;  // else nothing is known: it did not answer in time
  std::vector<RequestInProgress> oldest;
};

class Server {
 public:
  struct Callbacks {
    Handler handler;
    Refusal refusal;
    Admit admit = {};                               // none: everything may go on
    std::function<void(loop::Loop&)> on_loop = {};  // once on each loop's thread, before its first request
  };

  Server(HttpConfig config, const Clock& clock, Callbacks callbacks, ControlSocket control = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds every address (throws Error kUnavailable naming the one that fails) and starts the loops.  A
  // control socket that is not required and cannot be bound is warned about.  Sockets of `passed` are taken
  // instead: those named "control" instead of the control socket, all others instead of `listen`.  At "tls:"
  // addresses and sockets named "tls" clients must speak TLS; without an identity these throw kRejected.
  void Start(std::vector<PassedSocket> passed = {});

  // To clients who come under TLS from now on.  From any thread.
  void Show(std::shared_ptr<const tls::Identity> identity);

  // Once it was started: calls `beat` about every `every`, on one loop or another, as long as all of them
  // turn.  It is safe from any thread and does not block or throw; it may be called until this is destroyed.
  void Heartbeat(std::chrono::microseconds every, std::function<void()> beat);

  // The addresses really bound, "127.0.0.1:43123", "tls:[::1]:8443" or "unix:/path", in the order of `listen`
  // or of `passed`.
  [[nodiscard]] std::vector<std::string> Addresses() const;

  // Of the control socket, "unix:/path"; empty: there is none.
  [[nodiscard]] std::string ControlAddress() const;

  // From now on every answer closes its connection: who asks again comes anew, and perhaps to somebody else.
  void Leave();

  // Closes the listeners, answers what is in progress and what idle connections send within a moment, all
  // with Connection: close, and waits until no connection is left, `timeout` passed or `hurry` asks to wait
  // no longer.  True when everything was answered; else what is left is cut off.
  bool Drain(std::chrono::milliseconds timeout, const std::stop_token& hurry = {});

  // From any thread, once it was started.
  ServerStats Stats() const;

  // Likewise, but not on a loop: each loop and at most `most` of its requests, once all have told or
  // `patience` is over.
  [[nodiscard]] std::vector<LoopLook> Look(std::size_t most, std::chrono::milliseconds patience) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gathering::http
