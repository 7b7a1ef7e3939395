#include "daemon/http/gate.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/text.h"

namespace gathering::http {
namespace {

constexpr std::uint64_t kTooLong = ~std::uint64_t{0};
constexpr std::size_t kGapMax = 65'536;  // chunk framing left in the buffer before it is cut out

// What a byte may be part of.
enum : std::uint8_t { kTokenByte = 1, kValueByte = 2, kTargetByte = 4, kHostByte = 8 };

constexpr std::array<std::uint8_t, 256> MakeClasses() {
  std::array<std::uint8_t, 256> classes{};
  const auto add = [&](std::string_view bytes, std::uint8_t of) {
    for (const char c : bytes) classes[static_cast<unsigned char>(c)] |= of;
  };
  for (unsigned c = 0; c < 256; ++c) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (alphanumeric) classes[c] |= kTokenByte | kHostByte;
    if (c == '\t' || (c >= ' ' && c != 0x7F)) classes[c] |= kValueByte;
    if (c > ' ' && c < 0x7F && c != '#' && c != '"' && c != '<' && c != '>') classes[c] |= kTargetByte;
  }
  add("!#$%&'*+-.^_`|~", kTokenByte);
  add("-._~%!$&'()*+,;=", kHostByte);
  return classes;
}
constexpr std::array<std::uint8_t, 256> kClasses = MakeClasses();

bool All(std::string_view text, std::uint8_t of) {
  return std::all_of(text.begin(), text.end(),
                     [of](char c) { return (kClasses[static_cast<unsigned char>(c)] & of) != 0; });
}

bool IsToken(std::string_view text) {
  return !text.empty() && All(text, kTokenByte);
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

bool Same(std::string_view text, std::string_view lower_case) {
  return text.size() == lower_case.size() && std::equal(text.begin(), text.end(), lower_case.begin(),
                                                        [](char a, char b) { return Lower(a) == b; });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls `take` with each trimmed element of a comma-separated list, empty ones too.
template <class F>
void EachElement(std::string_view list, F take) {
  for (;;) {
    const std::size_t comma = list.find(',');
    take(Trim(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// host [":" port], RFC 9110 section 7.2, never empty.
bool IsAuthority(std::string_view text) {
  std::size_t host = 0;
  if (text.starts_with('[')) {
    host = text.find(']');
    if (host == std::string_view::npos || host < 3) return false;
    const std::string_view inside = text.substr(1, host - 1);
    if (!std::all_of(inside.begin(), inside.end(), [](char c) {
          return IsDigit(c) || (Lower(c) >= 'a' && Lower(c) <= 'f') || c == ':' || c == '.';
        })) {
      return false;
    }
    ++host;
  } else {
    host = std::min(text.find(':'), text.size());
    if (host == 0 || !All(text.substr(0, host), kHostByte)) return false;
  }
  if (host == text.size()) return true;
  const std::string_view port = text.substr(host + 1);
  return text[host] == ':' && port.size() <= 5 && std::all_of(port.begin(), port.end(), IsDigit);
}

// *( ";" name [ "=" ( token / quoted-string ) ] ), RFC 9112 section 7.1.1, without white space.
bool AreChunkExtensions(std::string_view text) {
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    const auto token = [&] {
      const auto end = std::find_if(text.begin(), text.end(), [](char c) {
        return (kClasses[static_cast<unsigned char>(c)] & kTokenByte) == 0;
      });
      const auto size = static_cast<std::size_t>(end - text.begin());
      text.remove_prefix(size);
      return size > 0;
    };
    if (!token()) return false;
    if (!text.starts_with('=')) continue;
    text.remove_prefix(1);
    if (!text.starts_with('"')) {
      if (!token()) return false;
      continue;
    }
    std::size_t i = 1;
    while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
    if (i >= text.size() || !All(text.substr(0, i), kValueByte)) return false;
    text.remove_prefix(i + 1);
  }
  return true;
}

}  // namespace

void Gate::Reset(std::size_t start) {
  start_ = line_ = scanned_ = start;
  stage_ = Stage::kRequestLine;
  skipped_empty_line_ = false;
  method_known_ = false;
  method_ = Method::kGet;
  minor_version_ = 1;
  for_server_ = false;
  keep_alive_ = true;
  says_close_ = says_keep_alive_ = expects_continue_ = chunked_ = has_length_ = has_credentials_ = false;
  foreign_expectation_ = encoded_ = foreign_coding_ = false;
  hosts_ = 0;
  path_ = query_ = authority_ = host_ = {};
  fields_.clear();
  length_ = 0;
  body_ = body_end_ = raw_ = start;
  dropped_ = 0;
  chunk_left_ = 0;
  extension_bytes_ = trailer_bytes_ = 0;
  status_ = 0;
  detail_ = {};
}

Gate::Verdict Gate::Feed(std::string& buffer) {
  if (stage_ == Stage::kDone) return Verdict::kRequest;
  if (stage_ == Stage::kRefused) return Verdict::kRefused;
  return head_done() ? FeedBody(buffer) : FeedHead(buffer);
}

std::size_t Gate::body_bytes_seen(const std::string& buffer) const {
  return buffer.size() - body_ + dropped_;
}

void Gate::Describe(const std::string& buffer, Request& request) const {
  request.method = method_;
  request.path = path_.size == 0 ? std::string_view{"/"} : path_.In(buffer);
  request.query = query_.In(buffer);
  request.headers.clear();
  for (const Field& field : fields_)
    request.headers.push_back({field.name.In(buffer), field.value.In(buffer)});
  request.body = std::string_view{buffer}.substr(body_, body_end_ - body_);
  request.minor_version = minor_version_;
}

Gate::Step Gate::Refuse(int status, std::string_view detail) {
  stage_ = Stage::kRefused;
  keep_alive_ = false;
  status_ = status;
  detail_ = detail;
  return Step::kRefused;
}

Gate::Verdict Gate::FeedHead(const std::string& buffer) {
  for (;;) {
    std::string_view line;
    Step step = TakeLine(buffer, line);
    if (step == Step::kGoOn) {
      if (stage_ == Stage::kRequestLine) {
        step = RequestLine(buffer, line);
      } else if (!line.empty()) {
        step = FieldLine(buffer, line);
      } else if (step = EndOfHead(buffer); step == Step::kGoOn) {
        return stage_ == Stage::kDone ? Verdict::kRequest : Verdict::kHead;
      }
    }
    if (step == Step::kWait) return Verdict::kMore;
    if (step == Step::kRefused) return Verdict::kRefused;
  }
}

// The limits are judged before the content and on what is there, so that how the bytes were cut
// into packets makes no difference.
Gate::Step Gate::TakeLine(const std::string& buffer, std::string_view& line) {
  const char* const found =
      static_cast<const char*>(std::memchr(buffer.data() + scanned_, '\n', buffer.size() - scanned_));
  const std::size_t end = found != nullptr ? static_cast<std::size_t>(found - buffer.data()) : buffer.size();
  const std::size_t size = end - line_;  // with the CR, if there is one already
  scanned_ = end;
  switch (stage_) {
    case Stage::kRequestLine:
      if (size > limits_.request_line_bytes_max + 1) return Refuse(414, "the request line is too long");
      [[fallthrough]];
    case Stage::kFields:
      if (end + (found != nullptr ? 1 : 0) - start_ > limits_.head_bytes_max) {
        return Refuse(431, "the head of the request is too large");
      }
      break;
    case Stage::kChunkSize:
      if (size > kChunkLineBytesMax) return Refuse(400, "a chunk's first line is too long");
      break;
    default:
      if (trailer_bytes_ + size > kTrailerBytesMax)
        return Refuse(431, "the trailer of the request is too large");
  }
  if (found == nullptr) return Step::kWait;
  if (size == 0 || buffer[end - 1] != '\r') return Refuse(400, "a line does not end in CR LF");
  line = std::string_view{buffer}.substr(line_, size - 1);
  line_ = scanned_ = end + 1;
  return Step::kGoOn;
}

Gate::Step Gate::RequestLine(const std::string& buffer, std::string_view line) {
  if (line.empty()) {  // one is forgiven, RFC 9112 section 2.2
    if (skipped_empty_line_) return Refuse(400, "the request line is empty");
    skipped_empty_line_ = true;
    return Step::kGoOn;
  }
  const std::size_t first = std::min(line.find(' '), line.size());
  const std::string_view method = line.substr(0, first);
  if (!IsToken(method)) return Refuse(400, "the request line is malformed");
  const std::string_view rest = line.substr(std::min(first + 1, line.size()));
  const std::size_t second = rest.find(' ');
  if (second == 0 || second == std::string_view::npos) return Refuse(400, "the request line is malformed");
  const std::string_view target = rest.substr(0, second);
  const std::string_view version = rest.substr(second + 1);
  if (!All(target, kTargetByte)) return Refuse(400, "the request target is malformed");
  if (version.size() != 8 || !version.starts_with("HTTP/") || !IsDigit(version[5]) || version[6] != '.' ||
      !IsDigit(version[7])) {
    return Refuse(400, "the request line is malformed");
  }
  const auto known = ParseMethod(method);
  if (!known) return Refuse(501, "this method is not implemented");
  method_ = *known;
  method_known_ = true;
  if (version[5] != '1' || version[7] > '1') return Refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  minor_version_ = static_cast<std::uint8_t>(version[7] - '0');
  stage_ = Stage::kFields;
  return Target(buffer, target);
}

Gate::Step Gate::Target(const std::string& buffer, std::string_view target) {
  const auto span = [&](std::string_view part) {
    return part.empty() ? Span{}
                        : Span{static_cast<std::uint32_t>(part.data() - buffer.data()),
                               static_cast<std::uint32_t>(part.size())};
  };
  if (target == "*") {
    if (method_ != Method::kOptions) return Refuse(400, "the request target is malformed");
    for_server_ = true;
    return Step::kGoOn;
  }
  if (!target.starts_with('/')) {
    const std::size_t scheme = target.find("://");
    if (scheme == std::string_view::npos ||
        !(Same(target.substr(0, scheme), "http") || Same(target.substr(0, scheme), "https"))) {
      return Refuse(400, "the request target is malformed");
    }
    target.remove_prefix(scheme + 3);
    const std::string_view authority = target.substr(0, target.find_first_of("/?"));
    if (!IsAuthority(authority)) return Refuse(400, "the request target is malformed");
    authority_ = span(authority);
    target.remove_prefix(authority.size());
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  if (question > limits_.path_bytes_max) return Refuse(414, "the path is too long");
  path_ = span(target.substr(0, question));
  query_ = span(target.substr(std::min(question + 1, target.size())));
  return Step::kGoOn;
}

Gate::Step Gate::FieldLine(const std::string& buffer, std::string_view line) {
  if (fields_.size() == limits_.headers_max) return Refuse(431, "the request has too many header fields");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) {
    return Refuse(400, "a header field is malformed");
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!All(value, kValueByte)) return Refuse(400, "a header field is malformed");
  const auto span = [&](std::string_view part) {
    return Span{static_cast<std::uint32_t>(part.data() - buffer.data()),
                static_cast<std::uint32_t>(part.size())};
  };
  fields_.push_back({span(name), span(value)});
  if (Same(name, "host")) host_ = span(value);
  return KnownField(name, value);
}

Gate::Step Gate::KnownField(std::string_view name, std::string_view value) {
  switch (name.size()) {  // most fields mean nothing to framing and end here
    case 4:
      if (!Same(name, "host")) break;
      if (++hosts_ > 1 || !IsAuthority(value))
        return Refuse(400, "the request does not name exactly one host");
      break;
    case 6:
      if (!Same(name, "expect")) break;
      (Same(value, "100-continue") ? expects_continue_ : foreign_expectation_) = true;
      break;
    case 10:
      if (Same(name, "connection")) ConnectionOptions(value);
      break;
    case 13:
      if (!Same(name, "authorization")) break;
      if (has_credentials_) return Refuse(400, "the request says more than once who asks");
      has_credentials_ = true;
      break;
    case 14:
      if (!Same(name, "content-length")) break;
      if (has_length_) return Refuse(400, "the length of the body is given more than once");
      if (value.empty() || !std::all_of(value.begin(), value.end(), IsDigit) ||
          (value.size() > 1 && value.front() == '0')) {
        return Refuse(400, "the length of the body is malformed");
      }
      has_length_ = true;
      for (const char c : value) {
        length_ = value.size() > 18 ? kTooLong : length_ * 10 + static_cast<std::uint64_t>(c - '0');
      }
      break;
    case 16:
      if (Same(name, "content-encoding") && !Same(value, "identity")) encoded_ = true;
      break;
    case 17:
      if (Same(name, "transfer-encoding")) return TransferCodings(value);
      break;
    default:
      break;
  }
  return Step::kGoOn;
}

Gate::Step Gate::TransferCodings(std::string_view value) {
  bool malformed = false;
  EachElement(value, [&](std::string_view coding) {
    if (!IsToken(coding) || chunked_) malformed = true;  // nothing may follow chunked, not even itself
    if (Same(coding, "chunked")) {
      chunked_ = true;
    } else {
      foreign_coding_ = true;
    }
  });
  if (malformed) return Refuse(400, "the transfer coding is malformed");
  return Step::kGoOn;
}

void Gate::ConnectionOptions(std::string_view value) {
  EachElement(value, [&](std::string_view option) {
    if (Same(option, "close")) says_close_ = true;
    if (Same(option, "keep-alive")) says_keep_alive_ = true;
  });
}

Gate::Step Gate::EndOfHead(const std::string& buffer) {
  if (hosts_ == 0 && minor_version_ >= 1) return Refuse(400, "the request does not name exactly one host");
  if (authority_.size > 0 && hosts_ > 0 && !SameName(authority_.In(buffer), host_.In(buffer)))
    return Refuse(400, "the request target and the Host field disagree");
  if (chunked_ || foreign_coding_) {
    if (has_length_) return Refuse(400, "the length of the body is given in two ways");
    if (minor_version_ == 0) return Refuse(400, "HTTP/1.0 has no transfer codings");
    if (foreign_coding_) return Refuse(501, "only the transfer coding chunked is implemented");
  }
  if (foreign_expectation_) return Refuse(417, "this expectation cannot be met");
  if (encoded_) return Refuse(415, "the body must not be encoded");
  if (length_ > limits_.body_bytes_max) return Refuse(413, "the body is too large");

  keep_alive_ = !says_close_ && (minor_version_ >= 1 || says_keep_alive_);
  expects_continue_ = expects_continue_ && minor_version_ >= 1;
  body_ = body_end_ = raw_ = line_;
  stage_ = chunked_ ? Stage::kChunkSize : length_ > 0 ? Stage::kLength : Stage::kDone;
  return Step::kGoOn;
}

Gate::Verdict Gate::FeedBody(std::string& buffer) {
  for (;;) {
    Step step = Step::kGoOn;
    switch (stage_) {
      case Stage::kLength:
        if (buffer.size() - body_ < length_) return Verdict::kMore;
        body_end_ = raw_ = body_ + static_cast<std::size_t>(length_);
        stage_ = Stage::kDone;
        break;
      case Stage::kChunkSize:
        step = ChunkSize(buffer);
        break;
      case Stage::kChunk:
      case Stage::kChunkEnd:
        step = Chunk(buffer);
        break;
      case Stage::kTrailer:
        step = Trailer(buffer);
        break;
      case Stage::kDone:
        return Verdict::kRequest;
      default:
        return Verdict::kRefused;
    }
    if (step == Step::kWait) return Verdict::kMore;
  }
}

Gate::Step Gate::ChunkSize(const std::string& buffer) {
  std::string_view line;
  if (const Step step = TakeLine(buffer, line); step != Step::kGoOn) return step;
  std::uint64_t size = 0;
  std::size_t digits = 0;
  for (; digits < line.size(); ++digits) {
    const char c = Lower(line[digits]);
    if (!IsDigit(c) && !(c >= 'a' && c <= 'f')) break;
    size = size * 16 + static_cast<std::uint64_t>(IsDigit(c) ? c - '0' : c - 'a' + 10);
  }
  const std::string_view extensions = line.substr(digits);
  if (digits == 0 || digits > 15 || !AreChunkExtensions(extensions))
    return Refuse(400, "a chunk is malformed");
  extension_bytes_ += extensions.size();
  if (extension_bytes_ > kChunkExtensionBytesMax) return Refuse(400, "the chunk extensions are too long");
  if (size + (body_end_ - body_) > limits_.body_bytes_max) return Refuse(413, "the body is too large");
  raw_ = line_;
  chunk_left_ = size;
  stage_ = size == 0 ? Stage::kTrailer : Stage::kChunk;
  return Step::kGoOn;
}

Gate::Step Gate::Chunk(std::string& buffer) {
  if (stage_ == Stage::kChunk) {
    const std::size_t size =
        static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, buffer.size() - raw_));
    std::memmove(buffer.data() + body_end_, buffer.data() + raw_, size);
    body_end_ += size;
    raw_ += size;
    chunk_left_ -= size;
    if (raw_ - body_end_ > kGapMax) {
      dropped_ += raw_ - body_end_;
      buffer.erase(body_end_, raw_ - body_end_);
      raw_ = body_end_;
    }
    if (chunk_left_ > 0) return Step::kWait;
    stage_ = Stage::kChunkEnd;
  }
  const std::string_view end = std::string_view{buffer}.substr(raw_, 2);
  if (!std::string_view{"\r\n"}.starts_with(end)) return Refuse(400, "a chunk is malformed");
  if (end.size() < 2) return Step::kWait;
  raw_ += 2;
  line_ = scanned_ = raw_;
  stage_ = Stage::kChunkSize;
  return Step::kGoOn;
}

Gate::Step Gate::Trailer(const std::string& buffer) {
  std::string_view line;
  if (const Step step = TakeLine(buffer, line); step != Step::kGoOn) return step;
  raw_ = line_;
  if (line.empty()) {
    stage_ = Stage::kDone;
    return Step::kGoOn;
  }
  trailer_bytes_ += line.size() + 2;
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon)) ||
      !All(line.substr(colon + 1), kValueByte)) {
    return Refuse(400, "a trailer field is malformed");
  }
  return Step::kGoOn;
}

}  // namespace gathering::http
