// Patterns of event types, and the same in the words of LIKE.
#include "core/events/log.h"
#include "tests/fuzz/promise.h"

namespace {

// The same by trying everything; for short texts.
bool Tried(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*')
    return Tried(pattern.substr(1), text) || (!text.empty() && Tried(pattern, text.substr(1)));
  return !text.empty() && pattern.front() == text.front() && Tried(pattern.substr(1), text.substr(1));
}

// What a LIKE with the escape '\' means, in patterns of ours with '%' for '*'.
bool Like(std::string_view like, std::string_view text) {
  if (like.empty()) return text.empty();
  if (like.front() == '%') return Like(like.substr(1), text) || (!text.empty() && Like(like, text.substr(1)));
  if (like.front() == '\\') like.remove_prefix(1);
  gathering::fuzz::Require(!like.empty(), "an escape escapes something");
  return !text.empty() && like.front() == text.front() && Like(like.substr(1), text.substr(1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  gathering::fuzz::Input input{data, size};
  const std::string pattern{input.Line().substr(0, 12)};
  const std::string_view text = input.Rest().substr(0, 16);
  const bool fits = gathering::events::Fits(pattern, text);
  Require(fits == Tried(pattern, text), "a pattern fits what it says");
  Require(gathering::events::Fits("*" + pattern + "*", std::string{"<"} + std::string{text} + ">") || !fits,
          "stars around fit what is around");
  const auto likes = gathering::events::ToLikes({pattern});
  Require(likes && likes->size() == 1 && Like(likes->front(), text) == fits, "LIKE says the same");
  return 0;
}
