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

// Replayed events may be of any type; a line end in one would begin another field.
std::string OnOneLine(std::string_view type) {
  std::string line{type};
  std::ranges::replace_if(
      line, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

}  // namespace

std::string ToSse(const events::Record& record) {
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", record.sequence, OnOneLine(record.type),
                     schema::ToJson(record));
}

Wanted::Wanted(const events::RecordFilter& filter)
    : circle_id_(filter.circle_id), source_agent_id_(filter.source_agent_id) {
  const auto& names = schema::Names<events::EventType>::kTexts;
  for (std::size_t i = 0; i < std::size(names); ++i) {
    if (events::FitsAny(filter.types, names[i])) types_ |= events::BitOf(static_cast<events::EventType>(i));
  }
}

bool Wanted::Fits(const events::Event& event) const {
  return (types_ & events::BitOf(event.type)) != 0 && (!circle_id_ || circle_id_ == event.circle_id) &&
         (!source_agent_id_ || source_agent_id_ == event.source_agent_id);
}

SseStream::SseStream(const StreamParts& parts, const events::RecordFilter& filter)
    : EventStream(parts), wanted_(filter) {
  Join();
}

void SseStream::SendFirst(const std::vector<events::Record>& records, bool more) {
  std::string first;
  for (const events::Record& record : records) first += ToSse(record);
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
  Open(outlet);
  outlet.Send(kHello);
  outlet.Send(before_open_);
  std::string{}.swap(before_open_);
  if (ending_) return outlet.Finish();
  KeepAlive();
}

void SseStream::OnEvent(Parcel& parcel) {
  if (parcel.event().sequence <= up_to_ || !wanted_.Fits(parcel.event()) || ending_) return;
  if (outlet() == nullptr) {
    before_open_ += parcel.for_sse();
    if (TooLong(before_open_.size())) Finish();
    return;
  }
  outlet()->Send(parcel.for_sse());
  fresh_ = true;
}

void SseStream::OnTurn() {
  if (!std::exchange(fresh_, false) || outlet() == nullptr) return;
  outlet()->Flush();
  if (outlet() != nullptr && TooLong(outlet()->unsent())) Finish();
}

void SseStream::OnHeartbeat() {
  outlet()->Send(kHeartbeat);
  outlet()->Flush();
}

void SseStream::Finish() {
  ending_ = true;
  End();
}

}  // namespace gathering::streams
