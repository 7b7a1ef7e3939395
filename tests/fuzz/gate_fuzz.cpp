// Feeds the gate arbitrary bytes, once whole and once in pieces whose sizes the input chooses,
// and stops when the two readings differ or a promise of the gate is broken.
//
//   cmake -DCMAKE_CXX_COMPILER=clang++ -DGATHERING_FUZZ=ON …   then   gate_fuzz -max_total_time=60 corpus/
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/http/gate.h"

namespace {

using gathering::http::Gate;
using gathering::http::Request;
using Verdict = Gate::Verdict;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

gathering::HttpLimits SmallLimits() {
  gathering::HttpLimits limits;
  limits.request_line_bytes_max = 256;
  limits.path_bytes_max = 128;
  limits.head_bytes_max = 1'024;
  limits.headers_max = 12;
  limits.body_bytes_max = 2'048;
  return limits;
}

Verdict Feed(Gate& gate, std::string& buffer) {
  Verdict verdict = gate.Feed(buffer);
  if (verdict == Verdict::kHead) {
    verdict = gate.Feed(buffer);
    Require(verdict != Verdict::kHead, "a head is announced once");
  }
  return verdict;
}

bool HasNoControls(std::string_view text) {
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == '\0') return false;
  }
  return true;
}

// A text of everything a reader of the request could see.
std::string Judge(const gathering::HttpLimits& limits, const Gate& gate, Verdict verdict,
                  const std::string& buffer) {
  if (verdict == Verdict::kMore) return "more";
  if (verdict == Verdict::kRefused) {
    Require(gate.status() >= 400 && gate.status() <= 505, "a refusal has a status");
    Require(!gate.keep_alive(), "a refusal ends the connection");
    return "refused " + std::to_string(gate.status());
  }
  Request request;
  gate.Describe(buffer, request);
  Require(gate.is_for_server() || request.path.starts_with('/'), "a path starts with a slash");
  Require(request.path.size() <= limits.path_bytes_max, "the path is bounded");
  Require(request.body.size() <= limits.body_bytes_max, "the body is bounded");
  Require(request.headers.size() <= limits.headers_max, "the fields are bounded");
  Require(HasNoControls(request.path) && HasNoControls(request.query), "a target has no control bytes");
  Require(gate.end() <= buffer.size(), "the request ends in the buffer");
  std::string text = "request ";
  text.append(request.path).append("?").append(request.query).append("\n");
  int hosts = 0;
  for (const auto& [name, value] : request.headers) {
    Require(!name.empty() && HasNoControls(name) && HasNoControls(value), "a field has no control bytes");
    if (name == "Host" || name == "host") ++hosts;
    text.append(name).append(":").append(value).append("\n");
  }
  Require(hosts <= 1, "there is one Host at most");
  return text.append(request.body).append("|").append(buffer, gate.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const gathering::HttpLimits limits = SmallLimits();
  if (size == 0) return 0;
  const std::size_t piece = data[0] % 16 + 1;
  const std::string bytes{data + 1, data + size};

  Gate whole{limits};
  std::string at_once = bytes;
  const Verdict verdict = Feed(whole, at_once);
  const std::string expected = Judge(limits, whole, verdict, at_once);

  // Behind other bytes, so that nothing relies on starting at 0.
  constexpr std::string_view kBefore = "earlier";
  Gate pieces{limits};
  std::string buffer{kBefore};
  pieces.Reset(kBefore.size());
  Verdict last = Verdict::kMore;
  std::size_t i = 0;
  while (i < bytes.size() && last == Verdict::kMore) {
    const std::size_t count = i + piece < bytes.size() ? piece : bytes.size() - i;
    buffer.append(bytes, i, count);
    i += count;
    last = Feed(pieces, buffer);
  }
  buffer.append(bytes, i, std::string::npos);
  Require(Judge(limits, pieces, last, buffer) == expected, "pieces read like the whole");
  return 0;
}
