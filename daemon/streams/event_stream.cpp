#include "daemon/streams/event_stream.h"

#include <algorithm>
#include <utility>

namespace gathering::streams {

EventStream::EventStream(const StreamParts& parts)
    : Listener(parts.token_sha256),
      Timer(parts.loop.timers()),
      hub_(parts.hub),
      loop_(parts.loop),
      config_(parts.config),
      ends_at_(parts.ends_at) {}

EventStream::~EventStream() {
  Leave();
}

void EventStream::Join() {
  hub_.Join(*this);
  joined_ = true;
}

void EventStream::Leave() {
  if (std::exchange(joined_, false)) hub_.Leave(*this);
}

void EventStream::KeepAlive() {
  SetDeadline(std::min(loop_.now() + config_.heartbeat, ends_at_));
}

void EventStream::OnDeadline() {
  if (loop_.now() >= ends_at_) return OnExpired();
  KeepAlive();
  OnHeartbeat();
}

void EventStream::End() {
  Leave();
  ClearDeadline();
  if (outlet_ == nullptr) return;
  outlet_->Finish();
  outlet_->Flush();
}

void EventStream::OnClosed() {
  outlet_ = nullptr;
  ClearDeadline();
  Leave();
}

}  // namespace gathering::streams
