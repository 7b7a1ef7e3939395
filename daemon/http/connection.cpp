#include "daemon/http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "core/base/log.h"
#include "core/base/timestamp.h"

namespace gathering::http {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kBusy = "the server is busy, try again";

void Shrink(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptBufferBytes) buffer.shrink_to_fit();
}

}  // namespace

// --- Lane ----------------------------------------------------------------------------------------

Lane::Lane(Front& front, loop::LoopOptions options)
    : front_(front),
      loop_(front.clock, std::move(options)),
      engine_(front.handler, front.refusal, [this] { return Date(); }),
      scratch_(std::make_unique<char[]>(kReadBytes)) {}

Lane::~Lane() = default;

void Lane::Adopt(Arrival arrival) {
  const auto identity = std::move(arrival.identity);
  connections_.push_back(std::make_unique<Connection>(*this, std::move(arrival)));
  Connection& connection = *connections_.back();
  connection.index_ = connections_.size() - 1;
  connection.Begin(identity.get());
}

void Lane::Drain() {
  // From the back: closing moves the last one into the gap.
  for (std::size_t i = connections_.size(); i-- > 0;) connections_[i]->Drain();
}

void Lane::CloseAll() {
  for (std::size_t i = connections_.size(); i-- > 0;) connections_[i]->Abandon();
}

void Lane::Forget(Connection& connection) {
  const std::size_t index = connection.index_;
  std::unique_ptr<Connection> gone = std::move(connections_[index]);
  connections_[index] = std::move(connections_.back());
  connections_.pop_back();
  if (index < connections_.size()) connections_[index]->index_ = index;
  loop_.Retire(std::move(gone));
}

std::string_view Lane::Date() {
  if (loop_.now() >= date_until_) {
    const Timestamp wall = front_.clock.WallNow();
    date_ = ToHttpDate(wall);
    date_until_ = loop_.now() + std::chrono::microseconds{1'000'000 - wall.micros % 1'000'000};
  }
  return date_;
}

// --- Connection: life ------------------------------------------------------------------------------

Connection::Connection(Lane& lane, Arrival arrival)
    : Timer(lane.loop().timers()),
      lane_(lane),
      wire_(Fd{arrival.descriptor}, lane.counts.handshakes),
      peer_(std::move(arrival.peer)),
      admission_(arrival.admission),
      gate_(lane.front_.limits()) {}

void Connection::Begin(const tls::Identity* identity) {
  const bool ready = identity == nullptr || wire_.Secure(*identity);
  // Edge-triggered and told once about both directions: no further epoll_ctl for this connection.
  if (!ready || !lane_.loop().Watch(wire_.descriptor(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this)) {
    Close();
    return;
  }
  SetDeadline(lane_.loop().now() + (lane_.front_.draining ? kDrainFirstRequest : limits().head_timeout));
  if (admission_ == Admission::kRefused) {
    Refuse(503, "too many connections");
    Advance();
  }
}

void Connection::Close() {
  if (state_ == State::kClosed) return;
  DropSlot();
  // A child between fork and exec may still hold the description, so epoll is told.
  lane_.loop().Unwatch(wire_.descriptor());
  wire_.Close();
  state_ = State::kClosed;
  ClearDeadline();
  Front& front = lane_.front_;
  lane_.assigned.fetch_sub(1, std::memory_order_relaxed);
  if (admission_ == Admission::kRefused) {
    front.connections_refused.fetch_sub(1);
  } else {
    if (HasAddress(peer_)) {
      front.per_address.With([&](auto& counts) {
        const auto count = counts.find(peer_);
        if (count != counts.end() && --count->second == 0) counts.erase(count);
      });
    }
    front.connections_open.fetch_sub(1);
  }
  if (stream_) stream_->OnClosed();
  lane_.Forget(*this);
  front.on_closed();
}

void Connection::Abandon() {
  abandoned_ = true;
  if (state_ != State::kHandling) Close();
}

void Connection::Drain() {
  if (state_ == State::kStreaming) {
    stream_->OnDrain();
    Advance();
    return;
  }
  if (state_ != State::kReading) return;
  readable_ = true;  // perhaps a request came that we have not heard of
  Advance();
}

void Connection::OnEvents(std::uint32_t events) {
  // Under TLS reading may have waited for room to write.
  if (wire_.secure() || events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable_ = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) peer_finished_ = true;
  Advance();
}

void Connection::OnDeadline() {
  if (state_ != State::kLingering) lane_.counts.timeouts.Add();
  if (state_ == State::kReading && gate_.head_done()) {
    if (lane_.loop().now() < BodyDeadline()) {  // it moves with every byte
      SetDeadline(BodyDeadline());
      return;
    }
    Refuse(408, "the body of the request came too slowly");
    Advance();
  } else if (state_ == State::kReading && gate_.started(in_)) {
    Refuse(408, "the head of the request came too slowly");
    Advance();
  } else {
    Close();
  }
}

// The edge of a connection: whatever goes wrong here, memory most likely, is its problem alone.
void Connection::Advance() {
  if (std::exchange(advancing_, true)) return;
  const log::Scope scope{&standing_.names};  // of the request at hand, or of the one that became a stream
  budget_ = kRequestsPerTurn;
  try {
    Next next = Next::kGoOn;
    while (next == Next::kGoOn) {
      switch (state_) {
        case State::kReading:
          next = Read();
          break;
        case State::kWriting:
          next = Write();
          break;
        case State::kStreaming:
          next = ServeStream();
          break;
        case State::kLingering:
          next = Linger();
          break;
        case State::kHandling:
        case State::kClosed:
          next = Next::kWait;
          break;
      }
    }
  } catch (const std::exception& e) {
    log::Error("a connection failed", {{"what", e.what()}});
    Abandon();
  }
  advancing_ = false;
}

// --- Connection: reading -----------------------------------------------------------------------------

Connection::Next Connection::Read() {
  if (!std::exchange(unjudged_, false)) return Receive();
  switch (gate_.Feed(in_)) {
    case Gate::Verdict::kMore:
      return Receive();
    case Gate::Verdict::kHead:
      return TakeHead();
    case Gate::Verdict::kRequest:
      return TakeRequest();
    case Gate::Verdict::kRefused:
      Refuse(gate_.status(), gate_.detail());
      return Next::kGoOn;
  }
  return Next::kWait;
}

Connection::Next Connection::Receive() {
  if (gate_.head_done() && !standing_.decided && lane_.front_.admit) return AskAdmission();
  if (!readable_) {
    AwaitInput();
    return Next::kWait;
  }
  const ssize_t count = wire_.Read(lane_.scratch_.get(), kReadBytes);
  if (count > 0) {
    const auto size = static_cast<std::size_t>(count);
    if (wire_.Emptied()) readable_ = peer_finished_;  // only a FIN may be behind it
    if (!gate_.started(in_)) phase_since_ = lane_.loop().now();
    in_.append(lane_.scratch_.get(), size);
    unjudged_ = true;
    return Next::kGoOn;
  }
  if (count < 0 && errno == EINTR) {
    lane_.loop().Again(*this);
    return Next::kWait;
  }
  readable_ = false;
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Next::kGoOn;
  Close();
  return Next::kWait;
}

// Nothing to do until the client sends something: by when must it?
void Connection::AwaitInput() {
  if (gate_.head_done()) {
    SetDeadline(BodyDeadline());
  } else if (gate_.started(in_)) {
    SetDeadline(phase_since_ + limits().head_timeout);
  } else if (served_ > 0) {
    if (lane_.front_.draining.load(std::memory_order_relaxed)) {
      SetDeadline(lane_.loop().now() + std::min(kDrainNextRequest, limits().idle_timeout));
    } else {
      SetDeadline(lane_.loop().now() + limits().idle_timeout);
    }
  } else if (lane_.front_.draining.load(std::memory_order_relaxed)) {
    SetDeadline(lane_.loop().now() + std::min(kDrainFirstRequest, limits().head_timeout));
  }
}

Clock::Steady Connection::BodyDeadline() const {
  const std::uint64_t milliseconds_earned =
      gate_.body_bytes_seen(in_) * 1'000 / std::max<std::uint32_t>(limits().body_bytes_per_second_min, 1);
  return phase_since_ + limits().body_grace + milliseconds{milliseconds_earned};
}

Connection::Next Connection::TakeHead() {
  phase_since_ = lane_.loop().now();
  if (!TakeSlot()) {
    lane_.counts.requests_refused_busy.Add();
    Refuse(503, kBusy);
    return Next::kGoOn;
  }
  unjudged_ = true;  // the body, as far as it is here
  if (lane_.front_.admit) return Next::kGoOn;
  return InviteBody();
}

// The body is not here as a whole: may it come?
Connection::Next Connection::AskAdmission() {
  ClearDeadline();
  gate_.Describe(in_, request_);
  request_.body = {};
  request_.peer = peer_;
  admitting_ = true;
  state_ = State::kHandling;
  if (lane_.loop().fibers().Start(*this)) return Next::kGoOn;
  admitting_ = false;
  lane_.counts.requests_refused_busy.Add();
  Refuse(503, kBusy);
  return Next::kGoOn;
}

// The fiber has ended.
void Connection::Admitted() {
  admitting_ = false;
  if (abandoned_ || failed_) {
    Close();
    return;
  }
  if (out_.empty()) {
    phase_since_ = lane_.loop().now();
    state_ = State::kReading;
    if (InviteBody() == Next::kGoOn) Advance();
    return;
  }
  DropSlot();
  lane_.counts.requests.Add();
  linger_ = true;
  state_ = State::kWriting;
  Advance();
}

Connection::Next Connection::InviteBody() {
  if (!gate_.expects_continue() || gate_.body_bytes_seen(in_) > 0) return Next::kGoOn;
  // Nothing is waiting to be sent on this connection, so this fits or the connection is broken.
  if (wire_.Write(kContinue) == static_cast<ssize_t>(kContinue.size())) return Next::kGoOn;
  Close();
  return Next::kWait;
}

Connection::Next Connection::TakeRequest() {
  ClearDeadline();
  Response response;
  if (gate_.is_for_server()) {
    response.status = 204;
    response.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    AnswerWhole(response);
    return Next::kGoOn;
  }
  if (TakeSlot()) {
    gate_.Describe(in_, request_);
    request_.peer = peer_;
    state_ = State::kHandling;
    if (lane_.loop().fibers().Start(*this)) return Next::kGoOn;
    state_ = State::kReading;
  }
  // The request is whole, so the connection can go on after telling that it was not served.
  lane_.counts.requests_refused_busy.Add();
  lane_.counts.refused_by_gate.Add();
  FillRefusal(503, kBusy, response);
  AnswerWhole(response);
  return Next::kGoOn;
}

bool Connection::TakeSlot() {
  if (has_slot_) return true;
  std::atomic<std::uint32_t>& in_progress = lane_.front_.requests_in_progress;
  if (in_progress.fetch_add(1, std::memory_order_relaxed) >= limits().requests_in_progress_max) {
    in_progress.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  has_slot_ = true;
  return true;
}

void Connection::DropSlot() {
  if (std::exchange(has_slot_, false))
    lane_.front_.requests_in_progress.fetch_sub(1, std::memory_order_relaxed);
}

// --- Connection: answering ---------------------------------------------------------------------------

void Connection::OnFiber() noexcept {
  try {
    const Context context{.deadline = lane_.loop().now() + limits().request_timeout, .standing = &standing_};
    Response response;
    Exchange exchange;
    if (admitting_) {
      if (!lane_.front_.admit(request_, context, response)) Compose(exchange, response);
      return;
    }
    exchange.request = &request_;
    exchange.context = &context;
    exchange.keep_alive = MayBeKept();
    Compose(exchange, response);
    if (exchange.failed) lane_.counts.handler_failures.Add();
  } catch (...) {
    failed_ = true;  // no memory even for an answer
  }
}

void Connection::OnFiberDone() {
  if (admitting_) return Admitted();
  lane_.counts.requests.Add();
  DropSlot();
  state_ = State::kWriting;
  if (abandoned_ || failed_) {
    Close();
    return;
  }
  in_start_ = gate_.end();
  Advance();  // does nothing when the fiber never slept and Advance is below us
}

void Connection::Compose(Exchange& exchange, Response& response) {
  exchange.response = &response;
  exchange.closing = &lane_.front_.leaving;
  exchange.say_keep_alive = gate_.minor_version() == 0;
  exchange.bodyless = gate_.is_head_method();
  exchange.head = &out_;
  lane_.engine_.Answer(exchange);
  keep_alive_ = exchange.keep_alive;
  if (!exchange.bodyless) stream_ = std::move(response.stream);
  if (response.content().size() <= kCopiedBodyBytes) {
    out_.append(response.content());
  } else if (response.kept_body) {
    out_body_ = std::move(response.kept_body);
  } else {
    out_body_ = std::make_shared<const std::string>(std::move(response.body));
  }
}

void Connection::FillRefusal(int status, std::string_view detail, Response& response) {
  response.status = status;
  lane_.front_.refusal(status, detail, response);
  const bool told = std::any_of(response.headers.begin(), response.headers.end(),
                                [](const auto& header) { return header.first == "Retry-After"; });
  if (status == 503 && !told) response.Set("Retry-After", "1");
}

void Connection::Refuse(int status, std::string_view detail) {
  Response response;
  FillRefusal(status, detail, response);
  Exchange exchange;
  Compose(exchange, response);
  DropSlot();
  lane_.counts.refused_by_gate.Add();
  linger_ = true;
  state_ = State::kWriting;
}

void Connection::AnswerWhole(Response& response) {
  Exchange exchange;
  exchange.keep_alive = MayBeKept();
  Compose(exchange, response);
  lane_.counts.requests.Add();
  DropSlot();
  in_start_ = gate_.end();
  state_ = State::kWriting;
}

bool Connection::MayBeKept() const {
  return gate_.keep_alive() && served_ + 1 < limits().requests_per_connection_max;
}

Connection::Next Connection::Write() {
  const std::string_view head = out_;
  const std::string_view body = out_body_ ? std::string_view{*out_body_} : std::string_view{};
  const std::size_t before = out_sent_;
  while (out_sent_ < head.size() + body.size()) {
    const std::size_t of_head = std::min(out_sent_, head.size());
    const ssize_t sent = wire_.Write(head.substr(of_head), body.substr(out_sent_ - of_head));
    if (sent > 0) {
      out_sent_ += static_cast<std::size_t>(sent);
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      // Only progress buys time; a client who sends more instead of reading does not.
      if (!std::exchange(write_blocked_, true) || out_sent_ > before) {
        SetDeadline(lane_.loop().now() + limits().write_timeout);
      }
      return Next::kWait;
    } else {
      Close();
      return Next::kWait;
    }
  }
  AnswerWritten();
  if (state_ == State::kReading && unjudged_ && --budget_ == 0) {
    lane_.loop().Again(*this);
    return Next::kWait;
  }
  return Next::kGoOn;
}

void Connection::AnswerWritten() {
  if (stream_) return BeginStream();
  Shrink(out_);
  out_body_.reset();
  out_sent_ = 0;
  write_blocked_ = false;
  ++served_;
  if (!keep_alive_) {
    if (in_.size() > in_start_ || readable_) linger_ = true;
    state_ = State::kLingering;
    return;
  }
  if (in_start_ == in_.size()) {
    Shrink(in_);
    in_start_ = 0;
  } else if (in_start_ >= kReadBytes) {
    in_.erase(0, in_start_);
    in_start_ = 0;
  }
  unjudged_ = in_.size() > in_start_;
  gate_.Reset(in_start_);
  standing_ = {};
  phase_since_ = lane_.loop().now();
  state_ = State::kReading;
}

// --- Connection: streams -------------------------------------------------------------------------------

void Connection::BeginStream() {
  std::string{}.swap(out_);
  out_sent_ = 0;
  write_blocked_ = false;
  ++served_;
  ClearDeadline();
  const auto timeout = static_cast<unsigned>(kStreamPeerTimeout.count());
  // Fails for a Unix-domain socket, whose peer cannot go without being noticed.
  (void)::setsockopt(wire_.descriptor(), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
  state_ = State::kStreaming;
  stream_->OnOpen(*this);
  const std::string early = in_.substr(in_start_);
  std::string{}.swap(in_);
  in_start_ = 0;
  if (!early.empty() && !finishing_) stream_->OnInput(early);
  if (lane_.front_.draining.load(std::memory_order_relaxed) && !finishing_) stream_->OnDrain();
}

Connection::Next Connection::ServeStream() {
  std::uint32_t reads = kReadsPerTurn;
  for (;;) {
    if (!SendStream()) return Next::kWait;
    if (finishing_) break;
    if (!readable_ || unsent() > kStreamHoldBytes) return Next::kWait;
    if (reads-- == 0) {
      lane_.loop().Again(*this);
      return Next::kWait;
    }
    const ssize_t count = wire_.Read(lane_.scratch_.get(), kReadBytes);
    if (count > 0) {
      if (wire_.Emptied()) readable_ = peer_finished_;
      stream_->OnInput({lane_.scratch_.get(), static_cast<std::size_t>(count)});
    } else if (count < 0 && errno == EINTR) {
      lane_.loop().Again(*this);
      return Next::kWait;
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
    } else {
      Close();
      return Next::kWait;
    }
  }
  if (unsent() > 0) return Next::kWait;
  linger_ = true;
  state_ = State::kLingering;
  return Next::kGoOn;
}

// False when the connection is closed.
bool Connection::SendStream() {
  const std::size_t before = out_sent_;
  while (out_sent_ < out_.size()) {
    const ssize_t sent = wire_.Write(std::string_view{out_}.substr(out_sent_));
    if (sent > 0) {
      out_sent_ += static_cast<std::size_t>(sent);
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!std::exchange(write_blocked_, true) || out_sent_ > before)
        SetDeadline(lane_.loop().now() + limits().write_timeout);
      if (out_sent_ >= kReadBytes) {
        out_.erase(0, out_sent_);
        out_sent_ = 0;
      }
      return true;
    } else {
      Close();
      return false;
    }
  }
  if (out_sent_ == 0) return true;
  Shrink(out_);
  out_sent_ = 0;
  write_blocked_ = false;
  ClearDeadline();
  return true;
}

void Connection::Send(std::string_view bytes) {
  if (state_ == State::kStreaming) out_.append(bytes);
}

// --- Connection: the end -------------------------------------------------------------------------------

Connection::Next Connection::Linger() {
  if (!linger_) {
    Close();
    return Next::kWait;
  }
  if (lingered_ == 0) {
    wire_.FinishWriting();
    std::string{}.swap(in_);
    in_start_ = 0;
    lingered_ = 1;
    SetDeadline(lane_.loop().now() + kLingerTime);
  }
  while (readable_ && lingered_ < kLingerBytesMax) {
    const ssize_t count = wire_.Discard(lane_.scratch_.get(), kReadBytes);
    if (count > 0) {
      lingered_ += static_cast<std::size_t>(count);
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
    } else {
      break;
    }
  }
  if (readable_) Close();
  return Next::kWait;
}

}  // namespace gathering::http
