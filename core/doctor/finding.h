#pragma once
// What a check of `gathering doctor` says.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/schema/fields.h"

namespace gathering::doctor {

// In the order of gravity.
enum class Verdict : std::uint8_t { kSkipped, kOk, kWarning, kFailed };

struct Finding {
  std::string name;  // of the check, "database.connect"; several findings may have one name
  Verdict verdict = Verdict::kOk;
  std::string found;   // one line: what is there
  std::string remedy;  // one line: what to do; empty when there is nothing to do

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.required = true});
    visit("verdict", self.verdict, {.required = true});
    visit("found", self.found, {.required = true});
    visit("remedy", self.remedy, {.required = true});
  }
};

[[nodiscard]] inline Finding Ok(std::string name, std::string found) {
  return {std::move(name), Verdict::kOk, std::move(found), {}};
}
[[nodiscard]] inline Finding Skipped(std::string name, std::string why) {
  return {std::move(name), Verdict::kSkipped, std::move(why), {}};
}
[[nodiscard]] inline Finding Warning(std::string name, std::string found, std::string remedy) {
  return {std::move(name), Verdict::kWarning, std::move(found), std::move(remedy)};
}
[[nodiscard]] inline Finding Failed(std::string name, std::string found, std::string remedy) {
  return {std::move(name), Verdict::kFailed, std::move(found), std::move(remedy)};
}

// Of a line of ours, "what is wrong; what to do", the two parts.
[[nodiscard]] inline Finding FromLine(std::string name, Verdict verdict, std::string_view line) {
  const std::size_t cut = line.find("; ");
  Finding finding{std::move(name), verdict, std::string{line.substr(0, cut)}, {}};
  if (cut != std::string_view::npos) finding.remedy = line.substr(cut + 2);
  return finding;
}

// A check that could not be made.
[[nodiscard]] inline Finding FromError(std::string name, const Error& error) {
  Finding finding = FromLine(std::move(name), Verdict::kFailed, error.message);
  if (!error.cause.empty()) finding.found += " (" + error.cause + ")";
  return finding;
}

}  // namespace gathering::doctor

template <>
struct gathering::schema::Names<gathering::doctor::Verdict> {
  static constexpr std::string_view kTexts[] = {"skipped", "ok", "warning", "failed"};
};
