#include "daemon/streams/sse.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/schema/writer.h"

namespace gathering::streams {
namespace {

// How long a client waits before it comes back.
constexpr std::string_view kHello = "retry: 1000\n\n";
constexpr std::string_view kHeartbeat = ":\n\n";

constexpr std::uint64_t BitOf(events::EventType type) {
  return std::uint64_t{1} << static_cast<unsigned>(type);
}

}  // namespace

std::string ToSse(const events::Record& record) {
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", record.sequence, record.type, schema::ToJson(record));
}

Wanted::Wanted(const std::vector<std::string>& types, std::optional<std::int64_t> circle_id,
               std::optional<std::int64_t> source_agent_id)
    : patterns_(types), circle_id_(circle_id), source_agent_id_(source_agent_id) {
  const auto& names = schema::Names<events::EventType>::kTexts;
  for (std::size_t i = 0; i < std::size(names); ++i) {
    const auto type = static_cast<events::EventType>(i);
    const bool fits = types.empty() || std::ranges::any_of(types, [&](const std::string& pattern) {
                        return events::Fits(pattern, names[i]);
                      });
    if (fits && events::IsPublic(type)) types_ |= BitOf(type);
  }
}

bool Wanted::Fits(const events::Event& event) const {
  return (types_ & BitOf(event.type)) != 0 && (!circle_id_ || circle_id_ == event.circle_id) &&
         (!source_agent_id_ || source_agent_id_ == event.source_agent_id);
}

bool Wanted::Fits(const events::Record& record) const {
  const bool type = patterns_.empty() || std::ranges::any_of(patterns_, [&](const std::string& pattern) {
                      return events::Fits(pattern, record.type);
                    });
  return type && (!circle_id_ || circle_id_ == record.circle_id) &&
         (!source_agent_id_ || source_agent_id_ == record.source_agent_id);
}

SseStream::SseStream(const StreamParts& parts, Wanted wanted)
    : Listener(parts.token),
      Timer(parts.loop.timers()),
      hub_(parts.hub),
      loop_(parts.loop),
      config_(parts.config),
      ends_at_(parts.ends_at),
      wanted_(std::move(wanted)) {
  hub_.Join(*this);
}

SseStream::~SseStream() {
  Leave();
}

void SseStream::SendFirst(const std::vector<events::Record>& records, bool more) {
  std::string first;
  for (const events::Record& record : records) {
    if (wanted_.Fits(record)) first += ToSse(record);
  }
  if (more) {
    Leave();
    ending_ = true;
    before_open_.clear();  // heard meanwhile: it comes behind the rest
  }
  before_open_.insert(0, first);
}

void SseStream::SendGap(std::int64_t after, std::int64_t before) {
  before_open_.insert(0, fmt::format("event: gap\ndata: {{\"after\":{},\"before\":{}}}\n\n", after, before));
}

void SseStream::OnOpen(http::Outlet& outlet) {
  outlet_ = &outlet;
  outlet.Send(kHello);
  outlet.Send(before_open_);
  std::string{}.swap(before_open_);
  if (ending_) return outlet.Finish();
  SetNextDeadline();
}

void SseStream::OnEvent(Parcel& parcel) {
  if (parcel.event().sequence <= up_to_ || !wanted_.Fits(parcel.event()) || ending_) return;
  if (outlet_ == nullptr) {
    before_open_ += parcel.for_sse();
    if (before_open_.size() > config_.buffer_bytes_max) End();
    return;
  }
  outlet_->Send(parcel.for_sse());
  fresh_ = true;
}

void SseStream::OnTurn() {
  if (!std::exchange(fresh_, false) || outlet_ == nullptr) return;
  outlet_->Flush();
  if (outlet_ != nullptr && outlet_->unsent() > config_.buffer_bytes_max) End();
}

void SseStream::OnDeadline() {
  if (loop_.now() >= ends_at_) return End();
  outlet_->Send(kHeartbeat);
  SetNextDeadline();
  outlet_->Flush();
}

void SseStream::SetNextDeadline() {
  SetDeadline(std::min(loop_.now() + config_.heartbeat, ends_at_));
}

// What is unsent still goes out, as far as the client takes it.
void SseStream::End() {
  ending_ = true;
  Leave();
  ClearDeadline();
  if (outlet_ == nullptr) return;
  outlet_->Finish();
  outlet_->Flush();
}

void SseStream::OnClosed() {
  outlet_ = nullptr;
  ClearDeadline();
  Leave();
}

void SseStream::Leave() {
  if (std::exchange(joined_, false)) hub_.Leave(*this);
}

}  // namespace gathering::streams
