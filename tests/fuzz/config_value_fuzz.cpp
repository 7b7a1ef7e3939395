// Values of the configuration: durations, sizes, numbers, texts as TOML, and the masking of passwords.
#include "core/config/value.h"

#include <toml++/toml.h>

#include "core/base/utf8.h"
#include "core/config/check.h"
#include "core/db/pg_conninfo.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::fuzz::Require;
namespace config = gathering::config;

constexpr std::string_view kMarker = "hunter";

// What libpq takes for a password is nowhere in the masked text.  Only a marker tells it from other texts.
void RequireMasked(const std::string& url) {
  if (url.find(kMarker) != url.rfind(kMarker)) return;  // one may stand in a keyword that is set again
  std::map<std::string, std::string, std::less<>> keywords;
  try {
    keywords = gathering::db::ParseConnInfo(url);
  } catch (const gathering::Error&) {
    return;
  }
  bool elsewhere = false;
  bool in_password = false;
  for (const auto& [keyword, value] : keywords) {
    const bool marked = value.find(kMarker) != std::string::npos;
    (keyword == "password" || keyword == "sslpassword" ? in_password : elsewhere) |= marked;
  }
  if (!in_password || elsewhere) return;
  const std::string masked = config::WithoutPassword(url);
  if (masked.find(kMarker) != std::string::npos)
    throw gathering::fuzz::BrokenPromise{"a password is masked: " + url + "\n  became " + masked};
}

void RequireTomlReadsBack(const std::string& text) {
  if (!gathering::IsUtf8(text)) return;
  const toml::table table = toml::parse("v = " + config::ToToml(config::Value{text}) +
                                        "\nl = " + config::ToToml(config::Value{std::vector{text, text}}));
  Require(table["v"].value<std::string>() == text, "a text in TOML is read back");
  Require(table["l"][1].value<std::string>() == text, "a list in TOML is read back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{gathering::fuzz::Input{data, size}.Rest()};
  if (const auto duration = config::ParseDuration(text)) {
    Require(duration->count() >= 0, "no duration is negative");
    Require(config::ParseDuration(config::ToText(*duration)) == duration, "a duration is read back");
  }
  if (const auto bytes = config::ParseSize(text)) {
    Require(*bytes >= 0, "no size is negative");
    Require(config::ParseSize(config::SizeToText(*bytes)) == bytes, "a size is read back");
  }
  if (const auto number = config::ParseInteger(text))
    Require(config::ParseInteger(std::to_string(*number)) == number, "a number is read back");
  static_cast<void>(config::ParseBoolean(text));
  static_cast<void>(config::ListenProblem(text));
  static_cast<void>(config::LooksLikeHash(text));
  RequireMasked(text);
  RequireTomlReadsBack(text);
  return 0;
}
