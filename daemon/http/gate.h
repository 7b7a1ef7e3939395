#pragma once
// The gate: frames one HTTP/1.x request after another out of the bytes of a connection,
// strictly after RFC 9112.  Where the standard lets a server repair a message, the gate
// refuses it: two readers of one message must never disagree about where it ends.
//
// It touches nothing but the buffer it is given and may be fed byte by byte or all at once
// with the same verdict.  A chunked body is decoded in place.  What a refusal means for the
// connection is simple: it must be closed, its framing is not to be trusted any more.
//
// Refused are, among others: an unknown method (501); a version other than 1.0 and 1.1 (505);
// a request line or path too long (414); a head too long or with too many fields (431); a bare
// CR or LF, control bytes, folded fields, white space before a colon, a missing, second or
// malformed Host, a second Authorization, Content-Length twice, not in plain digits, or beside
// Transfer-Encoding (400);
// Transfer-Encoding other than chunked (501); a body too long (413); Content-Encoding (415);
// an expectation other than 100-continue (417).
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "daemon/http/message.h"

namespace gathering::http {

// Chunk extensions and trailers carry nothing we want; these bound what is skipped of them.
inline constexpr std::size_t kChunkLineBytesMax = 1'024;       // 400
inline constexpr std::size_t kChunkExtensionBytesMax = 4'096;  // of one request: 400
inline constexpr std::size_t kTrailerBytesMax = 4'096;         // 431

class Gate {
 public:
  enum class Verdict : std::uint8_t {
    kMore,     // not complete yet
    kHead,     // the head is whole and a body is to come; said once, then feed on
    kRequest,  // a whole request lies in the buffer
    kRefused,  // see status() and detail()
  };

  // `limits` is borrowed.
  explicit Gate(const HttpLimits& limits) : limits_(limits) { Reset(0); }

  // Starts over with a request whose first byte is, or will be, at `start` of the buffer.
  void Reset(std::size_t start);

  // Looks at what is new in `buffer`.  May shorten the buffer behind the request's head, never before it.
  [[nodiscard]] Verdict Feed(std::string& buffer);

  // Has a byte of this request been seen?  Is its head whole?
  [[nodiscard]] bool started(const std::string& buffer) const { return buffer.size() > start_; }
  [[nodiscard]] bool head_done() const { return stage_ > Stage::kFields; }

  // After kHead or kRequest.
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  // Bytes of the body that arrived, with their framing.
  [[nodiscard]] std::size_t body_bytes_seen(const std::string& buffer) const;

  // As far as known; a request line that was not understood counts as something with a body and 1.1.
  [[nodiscard]] bool is_head_method() const { return method_known_ && method_ == Method::kHead; }
  [[nodiscard]] std::uint8_t minor_version() const { return minor_version_; }
  // "OPTIONS *", which asks about the server and not about one resource.
  [[nodiscard]] bool is_for_server() const { return for_server_; }

  // After kRequest: fills all of `request` but the peer; its views point into `buffer`.
  void Describe(const std::string& buffer, Request& request) const;
  // After kRequest: the first byte behind the request.
  [[nodiscard]] std::size_t end() const { return raw_; }

  // After kRefused.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] std::string_view detail() const { return detail_; }

 private:
  enum class Stage : std::uint8_t {
    kRequestLine,
    kFields,
    kLength,
    kChunkSize,
    kChunk,
    kChunkEnd,
    kTrailer,
    kDone,
    kRefused
  };
  enum class Step : std::uint8_t { kGoOn, kWait, kRefused };
  struct Span {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
    [[nodiscard]] std::string_view In(const std::string& buffer) const {
      return std::string_view{buffer}.substr(begin, size);
    }
  };
  struct Field {
    Span name;
    Span value;
  };

  Step Refuse(int status, std::string_view detail);
  Verdict FeedHead(const std::string& buffer);
  Step TakeLine(const std::string& buffer, std::string_view& line);
  Step RequestLine(const std::string& buffer, std::string_view line);
  Step Target(const std::string& buffer, std::string_view target);
  Step FieldLine(const std::string& buffer, std::string_view line);
  Step KnownField(std::string_view name, std::string_view value);
  Step TransferCodings(std::string_view value);
  void ConnectionOptions(std::string_view value);
  Step EndOfHead(const std::string& buffer);
  Verdict FeedBody(std::string& buffer);
  Step ChunkSize(const std::string& buffer);
  Step Chunk(std::string& buffer);
  Step Trailer(const std::string& buffer);

  const HttpLimits& limits_;

  // Where we are.
  std::size_t start_ = 0;    // of the request
  std::size_t line_ = 0;     // of the line being collected
  std::size_t scanned_ = 0;  // no line feed between line_ and here
  Stage stage_ = Stage::kRequestLine;
  bool skipped_empty_line_ = false;

  // What the head said.
  bool method_known_ = false;
  Method method_ = Method::kGet;
  std::uint8_t minor_version_ = 1;
  bool for_server_ = false;
  bool keep_alive_ = true;
  bool says_close_ = false;
  bool says_keep_alive_ = false;
  bool expects_continue_ = false;
  bool chunked_ = false;
  bool has_length_ = false;
  bool has_credentials_ = false;
  bool foreign_expectation_ = false;
  bool encoded_ = false;
  bool foreign_coding_ = false;
  std::uint32_t hosts_ = 0;
  Span path_;
  Span query_;
  Span authority_;  // of a target in absolute form
  Span host_;
  std::vector<Field> fields_;

  // The body.
  std::uint64_t length_ = 0;  // declared
  std::size_t body_ = 0;      // its first byte
  std::size_t body_end_ = 0;  // behind what is decoded of it
  std::size_t raw_ = 0;       // behind what is read of it
  std::size_t dropped_ = 0;   // bytes of chunk framing cut out of the buffer
  std::uint64_t chunk_left_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;

  int status_ = 0;
  std::string_view detail_;
};

}  // namespace gathering::http
