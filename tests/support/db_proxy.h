#pragma once
// A TCP proxy between PostgreSQL's clients and a real server, which loses what it is told to lose.
//
//   DbProxy proxy{TestCluster::Instance().Socket()};
//   db::Pool pool{{.url = proxy.Url(database.url())}, clock};
//   proxy.SetHook([](const FrontendMessage& message) {
//     return IsCommit(message) ? Verdict::kCutAfter : Verdict::kPass;
//   });
//
// It reads the frontend/backend protocol, version 3, as far as it needs to tell messages apart.  Requests
// for TLS or GSSAPI encryption are answered with no; a cancel request passes and no hook sees it.  One
// thread serves all connections and ends with the proxy, which cuts whatever is still open.
// Bounds: 256 connections (more wait to be accepted), 16 MiB a frontend message (a connection with a
// longer one is cut), and a side that does not read stops the other.  Safe to use from any thread.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace gathering::test {

struct FrontendMessage {
  char type = '\0';              // 'Q', 'P', 'S', …; '\0' for the startup packet, which has none
  std::string_view payload;      // what follows the length; of the startup packet, what follows the version
  std::uint64_t connection = 0;  // counted from 1 in the order of acceptance
};

enum class Verdict : std::uint8_t {
  kPass,
  // Both sides are closed, and the server never gets this message (it does get those before it).
  kCutBefore,
  // The server gets the whole message; then the client's side is closed at once.  The server's stays open
  // until it has answered, so that it surely does what it was asked and the client never hears of it.
  // Where only a later Sync would bring the answer, the server finds the end of its input instead.
  kCutAfter,
};

struct DbProxyStats {
  std::uint64_t accepted = 0;  // connections
  std::uint64_t refused = 0;   // connections, by Refuse
  std::uint64_t cuts = 0;      // by verdict; counted just before the client's side is closed
  std::uint32_t open = 0;      // connections of which a side is open: 0 when all that was cut is answered
};

class DbProxy {
 public:
  // Called with each complete message, in order, on the proxy's thread: everything else waits meanwhile.
  // Must not throw, and must not call the proxy, except for Stats.
  using Hook = std::function<Verdict(const FrontendMessage&)>;

  // Listens on a free port of loopback.  `target` is the path of a unix socket or an IPv4 address with a
  // port, "127.0.0.1:5432"; it is connected to once for each client.  Throws std::runtime_error.
  explicit DbProxy(const std::string& target);
  ~DbProxy();
  DbProxy(const DbProxy&) = delete;
  DbProxy& operator=(const DbProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // `base`, a libpq URL or keyword string, with this proxy in place of its host and port.
  [[nodiscard]] std::string Url(const std::string& base) const;

  // When it returns, the hook before is not running and will not run again.  An empty one passes everything.
  void SetHook(Hook hook);

  // From its return until Thaw nothing is accepted, forwarded or closed, as on a network that swallows
  // packets.  Clients still connect: the kernel does that for the listener.
  void Freeze();
  void Thaw();

  // Whether new connections are closed as soon as they are accepted.  Those there are stay.
  void Refuse(bool refuse);

  [[nodiscard]] DbProxyStats Stats() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

// The text of a simple query ("BEGIN", "COMMIT"); empty for every other message.
[[nodiscard]] std::string_view SimpleQuery(const FrontendMessage& message);
[[nodiscard]] bool IsCommit(const FrontendMessage& message);  // the simple query COMMIT, as db::Pool sends it
[[nodiscard]] bool IsSync(const FrontendMessage& message);    // ends a statement with parameters

}  // namespace gathering::test
