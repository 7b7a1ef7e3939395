#pragma once
// The running system: owns every part, in the order in which they depend on each
// other, and stops them in the opposite order.
//
//   Daemon daemon{config, clock};
//   daemon.Start();                                 // listens when this returns
//   … wait for a signal …
//   daemon.StopBeingReady();                        // readiness off, so that balancers look elsewhere
//   daemon.Drain(10s);                              // requests in progress finish
#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/service_manager.h"
#include "core/config/config.h"

namespace gathering {

class Daemon {
 public:
  // What can be known before anything runs.  Throws ConfigError for a certificate or key that cannot be used.
  static void Check(const Config& config);

  // `config.database.pool.url` and `config.auth.secret_key` are set; the schema is current.  Throws as Check
  // does.
  Daemon(const Config& config, const Clock& clock);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Throws Error kUnavailable when an address cannot be bound.  Sockets that were passed are listened on
  // instead of `config.http.listen`, those named "control" instead of the control socket.
  void Start(std::vector<PassedSocket> passed = {});

  // Once it was started, until it is destroyed: calls `beat` about every `every` as long as all event loops
  // turn.  It is safe from any thread and does not block or throw.
  void Heartbeat(std::chrono::microseconds every, std::function<void()> beat);

  // Hands each part its section of a configuration that was checked as a whole.  Of it only the keys take
  // effect that say so (config::Holds): the rate limits, whose counters stay, bounds and lifetimes of caches,
  // origins, streams, certificate and key, which are read again in any case.  Connections and requests in
  // progress go on.  From any thread but a loop's, one call at a time.  Throws nothing once a part was
  // touched.
  void Reload(const Config& config);

  // Writes to the log what the daemon is at (daemon/state.h).  From any thread but a loop's.
  void LogState();

  // What is really listened on, e.g. "127.0.0.1:8000" or "unix:/run/gathering.sock".
  [[nodiscard]] std::vector<std::string> Addresses() const;

  // Of the control socket, "unix:/path"; empty: there is none.
  [[nodiscard]] std::string ControlAddress() const;

  // Readiness turns 503 and answers close their connections, so that clients move on; all are still served.
  void StopBeingReady();

  // Listeners close, requests in progress are answered.  False when some were still running after `timeout`,
  // or when `hurry` asked to wait no longer: these are cut off.
  bool Drain(std::chrono::milliseconds timeout, const std::stop_token& hurry = {});

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace gathering
