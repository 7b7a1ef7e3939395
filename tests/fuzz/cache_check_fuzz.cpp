// Conditions of `cache-stats --check`, and the answer they are held against.
#include "cmd/cache_check.h"

#include "cmd/command.h"
#include "core/base/error.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::fuzz::Require;
namespace cmd = gathering::cmd;

cmd::CachesLook Known() {
  cmd::CachesLook look;
  look.caches.push_back(
      {.name = "tokens", .policy = "lru", .entries = 7, .entries_max = 10, .hit_ratio = 0.52});
  look.caches.push_back({.name = "an|odd'\n=name", .policy = "lru", .bytes = 1, .bytes_max = -1});
  return look;
}

void RequirePluginLine(const cmd::CheckResult& result) {
  Require(result.line.find('\n') == std::string::npos, "it is one line");
  Require(std::ranges::count(result.line, '|') <= 1, "performance data begin once");
  Require(result.line.starts_with("CACHES "), "it says of what it is");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gathering::fuzz::Input input{data, size};
  const std::string_view text = input.Line();
  cmd::CachesLook look = Known();
  try {
    look = cmd::ReadLook(std::string{input.Rest()}, gathering::Timestamp{1});
  } catch (const gathering::Error& error) {
    Require(error.code == gathering::Code::kInternal, "an answer that is none is no fault of the asker");
  }
  RequirePluginLine(cmd::UnknownCaches(text));
  try {
    const cmd::CacheCondition condition{text};
    RequirePluginLine(cmd::CheckCaches({condition}, look));
  } catch (const cmd::UsageError& error) {
    Require(std::string_view{error.what()}.size() > 1, "a refusal says why");
  }
  return 0;
}
