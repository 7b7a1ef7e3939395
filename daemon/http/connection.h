#pragma once
// One client's connection, and the lane (loop, engine, connections) it belongs to.
//
// A connection is always in exactly one state:
//   kReading    collecting a request, or idle between two
//   kHandling   its request runs on a fiber, or asks on one whether its body may come; nothing more is read
//   kWriting    the answer did not fit into the socket yet; no further request starts
//   kStreaming  the answer is a stream, which reads and writes until one side ends it
//   kLingering  refused: the answer is out, what the client still sends is thrown away for a
//               while, because closing now would make the kernel take the answer back
//   kClosed     waits for the end of the turn to be destroyed
// So at most one request and one answer of a connection are in memory.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/count.h"
#include "core/base/guarded.h"
#include "core/config/config.h"
#include "daemon/http/engine.h"
#include "daemon/http/gate.h"
#include "daemon/http/message.h"
#include "daemon/http/server.h"
#include "daemon/http/wire.h"
#include "daemon/loop/loop.h"

namespace gathering::http {

// Bounds that nobody needs to turn, and what happens at them.
inline constexpr std::size_t kReadBytes = 65'536;        // read at once; the rest waits in the kernel
inline constexpr std::size_t kKeptBufferBytes = 4'096;   // an idle connection's buffers shrink to this
inline constexpr std::size_t kCopiedBodyBytes = 2'048;   // a longer answer is not copied behind its head
inline constexpr std::uint32_t kRequestsPerTurn = 8;     // of one connection; then the others' turn
inline constexpr std::size_t kStreamHoldBytes = 65'536;  // unsent of a stream; then nothing more is read
inline constexpr std::uint32_t kReadsPerTurn = 8;        // of one stream; then the others' turn
inline constexpr std::chrono::milliseconds kStreamPeerTimeout{30'000};  // of TCP, for a peer that is gone
inline constexpr std::size_t kLingerBytesMax = 4'194'304;  // thrown away after a refusal; then closed
inline constexpr std::chrono::milliseconds kLingerTime{2'000};
// When we are about to stop: for the first request of who has just come, and for one that is on its way from
// who was kept.
inline constexpr std::chrono::milliseconds kDrainFirstRequest{500};
inline constexpr std::chrono::milliseconds kDrainNextRequest{100};
inline constexpr std::uint32_t kRefusedConnectionsMax = 256;  // told 503 at a time; more are closed at once

// What the lanes of one server share.  Safe from any thread.
struct Front {
  const HttpConfig config;
  const Clock& clock;
  const Handler handler;
  const Refusal refusal;
  const Admit admit;
  std::uint32_t connections_max = 0;          // limits.connections_max, or what the descriptors allow
  std::uint32_t refused_connections_max = 0;  // kRefusedConnectionsMax, likewise

  alignas(64) std::atomic<std::uint32_t> requests_in_progress{0};
  alignas(64) std::atomic<bool> draining{false};
  std::atomic<bool> leaving{false};                   // every answer closes its connection
  std::atomic<std::uint32_t> connections_open{0};     // served
  std::atomic<std::uint32_t> connections_refused{0};  // open only to hear their 503
  Guarded<std::unordered_map<std::string, std::uint32_t>> per_address{};
  std::function<void()> on_closed = {};  // a connection went away; called on its lane's thread

  [[nodiscard]] const HttpLimits& limits() const { return config.limits; }
};

enum class Admission : std::uint8_t { kServed, kRefused };

// Whether connections of this peer are bounded together.
[[nodiscard]] inline bool HasAddress(std::string_view peer) {
  return peer != kUnixPeer && peer != kControlPeer;
}

// An accepted socket on its way to a lane.
struct Arrival {
  int descriptor = -1;
  std::string peer;  // address without port, kUnixPeer or kControlPeer
  Admission admission = Admission::kServed;
  std::shared_ptr<const tls::Identity> identity = nullptr;  // none: plain
};

class Connection;

class Lane {
 public:
  Lane(Front& front, loop::LoopOptions options);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  [[nodiscard]] loop::Loop& loop() { return loop_; }
  [[nodiscard]] const loop::Loop& loop() const { return loop_; }

  // Connections given to this lane and not closed yet; the acceptor adds, the lane subtracts.
  std::atomic<std::uint32_t> assigned{0};

  struct Counts {
    Count requests;
    Count requests_refused_busy;
    Count handler_failures;
    Count refused_by_gate;
    Count timeouts;
    HandshakeCounts handshakes;
  };
  Counts counts;

  // --- on the lane's thread -------------------------------------------------------------------
  void Adopt(Arrival arrival);
  void Drain();     // closes what is idle; the rest closes after its answer
  void CloseAll();  // at once; requests in progress finish unanswered

 private:
  friend class Connection;
  void Forget(Connection& connection);
  std::string_view Date();

  Front& front_;
  loop::Loop loop_;
  Engine engine_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::unique_ptr<char[]> scratch_;
  std::string date_;
  Clock::Steady date_until_{};
};

class Connection final : public loop::Watcher, private loop::Timer, private loop::FiberJob, private Outlet {
 public:
  Connection(Lane& lane, Arrival arrival);

  void OnEvents(std::uint32_t events) override;

  // Registers with the loop and tells a refused client why.  Without an identity it is a plain one.
  void Begin(const tls::Identity* identity);
  void Drain();
  void Abandon();

 private:
  friend class Lane;
  enum class State : std::uint8_t { kReading, kHandling, kWriting, kStreaming, kLingering, kClosed };
  enum class Next : std::uint8_t { kGoOn, kWait };  // go on at once, or wait for an event

  void OnDeadline() override;
  void OnFiber() noexcept override;
  void OnFiberDone() override;
  [[nodiscard]] std::string_view Label() const override { return request_.path; }

  void Advance();
  Next Read();
  Next Receive();
  void AwaitInput();
  Next TakeHead();
  Next AskAdmission();
  void Admitted();
  [[nodiscard]] Next InviteBody();
  Next TakeRequest();
  [[nodiscard]] bool TakeSlot();
  void DropSlot();
  void Refuse(int status, std::string_view detail);  // and close
  void FillRefusal(int status, std::string_view detail, Response& response);
  void AnswerWhole(Response& response);  // the request in the buffer, without a handler
  [[nodiscard]] bool MayBeKept() const;
  void Compose(Exchange& exchange, Response& response);
  Next Write();
  void AnswerWritten();
  void BeginStream();
  Next ServeStream();
  [[nodiscard]] bool SendStream();
  Next Linger();
  void Close();
  loop::Loop& loop() override { return lane_.loop(); }
  void Send(std::string_view bytes) override;
  void Flush() override { Advance(); }
  std::size_t unsent() const override { return out_.size() - out_sent_; }
  void Finish() override { finishing_ = true; }

  [[nodiscard]] Clock::Steady BodyDeadline() const;
  [[nodiscard]] const HttpLimits& limits() const { return lane_.front_.limits(); }

  Lane& lane_;
  Wire wire_;
  const std::string peer_;
  const Admission admission_;
  std::size_t index_ = 0;  // in the lane's list
  State state_ = State::kReading;

  bool readable_ = false;       // the kernel may have more for us
  bool peer_finished_ = false;  // a FIN is on its way or here
  bool unjudged_ = false;       // bytes the gate has not seen
  bool has_slot_ = false;       // counted in requests_in_progress
  bool advancing_ = false;
  Standing standing_;       // of the request being read or handled
  bool admitting_ = false;  // the fiber only asks whether the request may go on
  bool abandoned_ = false;
  bool keep_alive_ = false;     // after the answer being written
  bool linger_ = false;         // input may be left unread
  bool write_blocked_ = false;  // the answer being written did not fit into the socket
  bool failed_ = false;         // of the fiber: the answer could not even be composed
  std::uint32_t served_ = 0;    // requests
  std::uint32_t budget_ = 0;    // requests left in this turn

  std::string in_;
  std::size_t in_start_ = 0;  // where the request begins
  Gate gate_;
  Clock::Steady phase_since_{};  // first byte of the head, or end of the head
  Request request_;

  std::string out_;
  std::shared_ptr<const std::string> out_body_;  // follows out_ when it was too long to be copied
  std::size_t out_sent_ = 0;
  std::size_t lingered_ = 0;

  std::unique_ptr<Stream> stream_;
  bool finishing_ = false;  // the stream has said all it wants to say
};

}  // namespace gathering::http
