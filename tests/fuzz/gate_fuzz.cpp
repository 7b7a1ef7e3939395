// The gate reads requests that follow each other, once whole and once in pieces whose sizes the input
// chooses.
#include "daemon/http/gate.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::fuzz::HasAnyOf;
using gathering::fuzz::Require;
using gathering::http::Gate;
using gathering::http::Request;
using Verdict = Gate::Verdict;

constexpr int kRequestsMax = 4;
constexpr std::string_view kControls{"\r\n\0", 3};

gathering::HttpLimits SmallLimits() {
  gathering::HttpLimits limits;
  limits.request_line_bytes_max = 256;
  limits.path_bytes_max = 128;
  limits.head_bytes_max = 1'024;
  limits.headers_max = 12;
  limits.body_bytes_max = 2'048;
  return limits;
}

// The gate over one buffer, and a text of everything a reader of its requests could see.
class Reading {
 public:
  // Bytes in front, so that nothing relies on starting at 0.
  Reading(const gathering::HttpLimits& limits, std::string_view in_front)
      : limits_(limits), buffer_(in_front), gate_(limits) {
    gate_.Reset(buffer_.size());
  }

  void Append(std::string_view bytes) {
    buffer_.append(bytes);
    while (!over_ && Step()) {
    }
  }
  [[nodiscard]] const std::string& seen() const { return seen_; }

 private:
  // False: more bytes are needed, or it is over.
  bool Step() {
    const Verdict verdict = gate_.Feed(buffer_);
    if (verdict == Verdict::kMore) return false;
    if (verdict == Verdict::kHead) {
      Require(!head_, "a head is announced once");
      Require(gate_.head_done(), "an announced head is whole");
      head_ = true;
      return true;
    }
    if (verdict == Verdict::kRefused) {
      Require(gate_.status() >= 400 && gate_.status() <= 505, "a refusal has a status");
      Require(!gate_.keep_alive(), "a refusal ends the connection");
      Require(!gate_.detail().empty(), "a refusal says why");
      seen_ += "refused " + std::to_string(gate_.status());
      over_ = true;
      return false;
    }
    Tell();
    over_ = !gate_.keep_alive() || ++requests_ == kRequestsMax;
    head_ = false;
    gate_.Reset(gate_.end());
    return true;
  }

  void Tell() {
    Request request;
    gate_.Describe(buffer_, request);
    Require(gate_.is_for_server() || request.path.starts_with('/'), "a path starts with a slash");
    Require(request.path.size() <= limits_.path_bytes_max, "the path is bounded");
    Require(request.body.size() <= limits_.body_bytes_max, "the body is bounded");
    Require(request.headers.size() <= limits_.headers_max, "the fields are bounded");
    Require(!HasAnyOf(request.path, kControls) && !HasAnyOf(request.query, kControls),
            "a target has no control bytes");
    Require(gate_.end() <= buffer_.size(), "the request ends in the buffer");
    seen_.append(Name(request.method)).append(" ").append(request.path).append("?").append(request.query);
    seen_.append(gate_.keep_alive() ? "\n" : " close\n");
    int hosts = 0;
    for (const auto& [name, value] : request.headers) {
      Require(!name.empty() && !HasAnyOf(name, " \t:") && !HasAnyOf(name, kControls) &&
                  !HasAnyOf(value, kControls),
              "a field has no control bytes");
      if (gathering::http::SameName(name, "host")) ++hosts;
      seen_.append(name).append(":").append(value).append("\n");
    }
    Require(hosts <= 1, "there is one Host at most");
    seen_.append("|").append(request.body).append("|\n");
  }

  const gathering::HttpLimits& limits_;
  std::string buffer_;
  Gate gate_;
  bool head_ = false;
  bool over_ = false;
  int requests_ = 0;
  std::string seen_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const gathering::HttpLimits limits = SmallLimits();
  gathering::fuzz::Input input{data, size};
  const std::uint8_t seed = input.Byte();

  Reading whole{limits, ""};
  whole.Append(input.Rest());
  Reading cut{limits, "earlier"};
  for (gathering::fuzz::Pieces pieces{input.Rest(), seed}; !pieces.done();) cut.Append(pieces.Next());
  gathering::fuzz::RequireSame(cut.seen(), whole.seen(), "pieces read like the whole");
  return 0;
}
