// Settings of `replay-events --what-if`.
#include "core/replay/what_if.h"

#include "core/base/error.h"
#include "tests/fuzz/promise.h"

namespace {

std::string Text(const gathering::replay::WhatIf& one) {
  return "window=" + std::to_string(one.window.count()) + "ms;batch=" + std::to_string(one.batch) +
         ";dedup=" + std::to_string(one.dedup.count()) + "ms;queue=" + std::to_string(one.queue);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  using gathering::replay::ParseWhatIf;
  try {
    auto combinations = ParseWhatIf(gathering::fuzz::Input{data, size}.Rest());
    Require(!combinations.empty() && combinations.size() <= gathering::replay::kCombinationsMax,
            "the combinations are bounded");
    for (const auto& one : combinations) {
      Require(one.batch >= 1 && one.queue >= 1 && one.window.count() >= 0 && one.dedup.count() >= 0,
              "each can be run");
      Require(ParseWhatIf(Text(one)) == std::vector{one}, "a combination is read back");
    }
    std::ranges::sort(combinations);
    Require(std::ranges::adjacent_find(combinations) == combinations.end(), "no combination comes twice");
  } catch (const gathering::Error& error) {
    Require(error.code == gathering::Code::kInvalid && !error.message.empty(), "a refusal says why");
  }
  return 0;
}
