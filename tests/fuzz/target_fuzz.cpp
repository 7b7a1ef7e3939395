// The target of a request: percent-encoding, query strings and forms.
#include "core/base/utf8.h"
#include "daemon/http/message.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::fuzz::Require;

constexpr std::size_t kPairsMax = 16;

std::string Encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    encoded += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return encoded;
}

void RequireText(std::string_view text, std::size_t bytes_max) {
  Require(gathering::IsUtf8(text), "what is decoded is UTF-8");
  Require(text.find('\0') == std::string_view::npos, "what is decoded holds no NUL");
  Require(text.size() <= bytes_max, "decoding makes nothing longer");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  if (const auto plain = gathering::http::PercentDecode(text)) {
    RequireText(*plain, text.size());
    Require(gathering::http::PercentDecode(Encoded(*plain)) == plain, "an encoded text is read back");
  }
  const auto pairs = gathering::http::DecodePairs(text, kPairsMax);
  if (!pairs) return 0;
  Require(pairs->size() <= kPairsMax, "the pairs are bounded");
  std::string again;
  for (const auto& [name, value] : *pairs) {
    RequireText(name, text.size());
    RequireText(value, text.size());
    again += Encoded(name) + "=" + Encoded(value) + "&";
  }
  Require(gathering::http::DecodePairs(again, kPairsMax) == pairs, "encoded pairs are read back");
  Require(pairs->empty() || !gathering::http::DecodePairs(again, pairs->size() - 1),
          "one too many is refused");
  return 0;
}
