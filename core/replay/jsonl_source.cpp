#include "core/replay/jsonl_source.h"

#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/siphash.h"
#include "core/base/text.h"
#include "core/base/utf8.h"
#include "core/replay/files.h"
#include "core/schema/reader.h"

namespace gathering::replay {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kTailBytes = 512;  // mostly the whole line, with its id
constexpr std::size_t kTypeMax = 100;    // the table's own bound
constexpr int kIdleMs = 50;              // a writer that takes longer is waited for
constexpr int kLookEveryMs = 100;        // at whether to stop, should the signal hit another thread

std::string DigestOf(std::string_view tail) {
  const Hash128 hash = SipHash{SipKey{}}.Finish(tail);
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

// Where a value of a text that is known to be JSON ends.
std::size_t EndOfValue(std::string_view json, std::size_t at) {
  std::size_t depth = 0;
  bool quoted = false;
  for (; at < json.size(); ++at) {
    const char c = json[at];
    if (quoted) {
      if (c == '\\') ++at;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (depth == 0 && (c == ',' || c == ':' || c == '}')) {
      return at;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return at;
}

// A member of an object as it was written: parsed and printed again, numbers would lose digits.  None: its
// name is written in some other way.
std::optional<std::string_view> RawMember(std::string_view object, std::string_view quoted_name) {
  std::size_t at = object.find('{') + 1;
  while (at < object.size()) {
    const std::size_t colon = EndOfValue(object, at);
    if (colon >= object.size() || object[colon] != ':') return std::nullopt;
    const std::size_t end = EndOfValue(object, colon + 1);
    if (Trimmed(object.substr(at, colon - at)) == quoted_name)
      return Trimmed(object.substr(colon + 1, end - colon - 1));
    at = end + 1;
  }
  return std::nullopt;
}

std::string Describe(const FieldError& error) {
  std::string place;
  for (std::size_t i = 1; i < error.location.size(); ++i) {
    if (const auto* name = std::get_if<std::string>(&error.location[i])) place += (i > 1 ? "." : "") + *name;
  }
  return place.empty() ? "it is no JSON object" : fmt::format("{}: {}", place, error.message);
}

std::string WhyNoJson(const Error& error) {
  if (error.fields.empty()) return error.message;
  const auto* offset = std::get_if<std::int64_t>(&error.fields.front().location.back());
  return fmt::format("it is no JSON, from byte {} on", offset != nullptr ? *offset + 1 : 1);
}

// What the table would refuse.
std::string_view WhyNotStored(const events::Record& record) {
  const std::size_t length = Utf8Count(record.type);
  if (length == 0 || length > kTypeMax) return "type: it should have 1 to 100 characters";
  if (!record.data.text.starts_with('{')) return "data: it should be an object";
  return {};
}

bool Blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

std::variant<events::Record, std::string> ReadLine(std::string_view line) {
  if (line.find('\0') != std::string_view::npos) return "it holds a NUL byte";
  try {
    std::vector<FieldError> errors;
    auto record = schema::ReadJson<events::Record>(schema::ParseJson(line, {}), "line", errors);
    if (!errors.empty()) return Describe(errors.front());
    if (const auto why = WhyNotStored(record); !why.empty()) return std::string{why};
    if (const auto raw = RawMember(line, "\"data\"")) record.data.text = *raw;
    return record;
  } catch (const Error& error) {
    return WhyNoJson(error);
  }
}

JsonlSource::JsonlSource(Fd fd, std::string name, const std::atomic<bool>& stop)
    : fd_(std::move(fd)), name_(std::move(name)), stop_(stop) {
  struct stat status {};
  seekable_ = ::fstat(fd_.get(), &status) == 0 && S_ISREG(status.st_mode);
  place_.tail = DigestOf(tail_);
}

bool JsonlSource::GoTo(const Place& place) {
  const auto known = static_cast<std::int64_t>(kTailBytes);
  if (seekable_ && place.offset > known) {
    place_.offset = place.offset - known;
    if (::lseek(fd_.get(), place_.offset, SEEK_SET) < 0) ThrowFileError("read", name_);
  }
  while (place_.offset < place.offset) {
    if (begin_ == buffer_.size() && !Fill()) return false;
    Pass(std::min(buffer_.size() - begin_, static_cast<std::size_t>(place.offset - place_.offset)));
  }
  place_.line = place.line;
  place_.tail = DigestOf(tail_);
  return place_.tail == place.tail;
}

std::optional<std::variant<Item, Complaint>> JsonlSource::Next() {
  for (;;) {
    bool too_long = false;
    std::size_t length = 0;
    if (!FindLine(too_long, length)) return std::nullopt;
    const std::string_view bytes = std::string_view{buffer_}.substr(begin_, length);
    const std::string_view line = bytes.ends_with('\n') ? bytes.substr(0, length - 1) : bytes;
    const std::int64_t number = place_.line + 1;
    std::variant<events::Record, std::string> read;
    const bool blank = !too_long && Blank(line);
    if (too_long || line.size() > kLineBytesMax) {
      read = fmt::format("it is longer than {} bytes", kLineBytesMax);
    } else if (!blank) {
      read = ReadLine(line);
    }
    Pass(length);
    ++place_.line;
    place_.tail = DigestOf(tail_);
    if (blank) continue;
    if (auto* record = std::get_if<events::Record>(&read))
      return Item{.record = std::move(*record), .number = number};
    return Complaint{.number = number, .what = std::get<std::string>(std::move(read))};
  }
}

// The next line with its end, or what is left of one that was too long to keep.
bool JsonlSource::FindLine(bool& too_long, std::size_t& length) {
  std::size_t looked_at = begin_;
  for (;;) {
    const std::size_t end = buffer_.find('\n', looked_at);
    if (end != std::string::npos) {
      length = end + 1 - begin_;
      return true;
    }
    if (buffer_.size() - begin_ > kLineBytesMax) {
      Pass(buffer_.size() - begin_);
      too_long = true;
    }
    const std::size_t kept = buffer_.size() - begin_;
    if (!Fill()) {
      length = buffer_.size() - begin_;
      return ended_ && (length > 0 || too_long);
    }
    looked_at = begin_ + kept;
  }
}

void JsonlSource::Pass(std::size_t bytes) {
  const std::string_view passed = std::string_view{buffer_}.substr(begin_, bytes);
  tail_ += passed.substr(passed.size() - std::min(passed.size(), kTailBytes));
  tail_.erase(0, tail_.size() - std::min(tail_.size(), kTailBytes));
  begin_ += bytes;
  place_.offset += static_cast<std::int64_t>(bytes);
}

bool JsonlSource::Fill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  while (!ended_ && !stop_) {
    if (!seekable_ && !Wait()) return false;
    const std::size_t kept = buffer_.size();
    buffer_.resize(kept + kReadBytes);
    const ssize_t count = ::read(fd_.get(), buffer_.data() + kept, kReadBytes);
    buffer_.resize(kept + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count > 0) return true;
    if (count == 0) ended_ = true;
    if (count < 0 && errno != EINTR && errno != EAGAIN) ThrowFileError("read", name_);
  }
  return false;
}

bool JsonlSource::Wait() {
  pollfd watched{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&watched, 1, kIdleMs) > 0) return true;
  if (on_wait_) on_wait_();
  while (!stop_) {
    if (::poll(&watched, 1, kLookEveryMs) > 0) return true;
  }
  return false;
}

}  // namespace gathering::replay
