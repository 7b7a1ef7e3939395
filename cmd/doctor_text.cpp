#include "cmd/doctor_text.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/doctor/doctor.h"
#include "core/schema/writer.h"

namespace gathering::cmd {
namespace {

using doctor::Finding;
using doctor::Verdict;

constexpr std::size_t kVerdictColumns = 7;  // of "warning", the longest
constexpr std::size_t kNameColumnsMax = 28;
constexpr std::size_t kTextColumnsMin = 40;
constexpr std::string_view kGap = "  ";
constexpr std::string_view kRemedyMark = "-> ";

struct Counts {
  std::int64_t ok = 0;
  std::int64_t warning = 0;
  std::int64_t failed = 0;
  std::int64_t skipped = 0;

  static void Fields(auto& self, auto& visit) {
    visit("ok", self.ok);
    visit("warning", self.warning);
    visit("failed", self.failed);
    visit("skipped", self.skipped);
  }
};

Counts Count(const std::vector<Finding>& findings) {
  const auto of = [&](Verdict verdict) { return std::ranges::count(findings, verdict, &Finding::verdict); };
  return {.ok = of(Verdict::kOk),
          .warning = of(Verdict::kWarning),
          .failed = of(Verdict::kFailed),
          .skipped = of(Verdict::kSkipped)};
}

struct Report {
  std::int64_t schema = 1;
  Verdict verdict = Verdict::kOk;
  Counts counts;
  std::vector<Finding> checks;

  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("verdict", self.verdict);
    visit("counts", self.counts);
    visit("checks", self.checks);
  }
};

std::string_view Colour(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "\x1b[32m";
    case Verdict::kWarning:
      return "\x1b[33m";
    case Verdict::kFailed:
      return "\x1b[31m";
    case Verdict::kSkipped:
      return "\x1b[2m";
  }
  return {};
}

// What others said, such as a server, must not speak to the terminal.
std::string Printable(std::string_view text) {
  std::string clean{text};
  std::ranges::replace_if(
      clean, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return clean;
}

// Behind the first line's own beginning, the others are moved in as far.
void AppendBlock(std::string& text, std::string_view block, std::size_t indent, std::size_t columns) {
  bool first = true;
  for (const std::string& line : Wrapped(block, columns)) {
    if (!first) text += std::string(indent, ' ');
    text += line + "\n";
    first = false;
  }
  if (first) text += "\n";
}

}  // namespace

std::string DoctorText(const std::vector<Finding>& findings, std::size_t columns, bool colour) {
  std::size_t names = 0;
  for (const Finding& finding : findings) names = std::max(names, finding.name.size());
  names = std::min(names, kNameColumnsMax);
  const std::size_t indent = kVerdictColumns + names + 2 * kGap.size();
  const std::size_t room = std::max(kTextColumnsMin, columns - std::min(columns, indent));
  std::string text;
  for (const Finding& finding : findings) {
    const std::string verdict = fmt::format("{:<{}}", schema::ToText(finding.verdict), kVerdictColumns);
    text += colour ? fmt::format("{}{}\x1b[0m", Colour(finding.verdict), verdict) : verdict;
    text += fmt::format("{}{:<{}}{}", kGap, finding.name, names, kGap);
    if (finding.name.size() > names) text += "\n" + std::string(indent, ' ');
    AppendBlock(text, Printable(finding.found), indent, room);
    if (finding.remedy.empty()) continue;
    text += std::string(indent, ' ') + std::string{kRemedyMark};
    AppendBlock(text, Printable(finding.remedy), indent + kRemedyMark.size(), room - kRemedyMark.size());
  }
  const Counts counts = Count(findings);
  text += fmt::format("{} checks: {} ok, {} warning{}, {} failed, {} skipped\n", findings.size(), counts.ok,
                      counts.warning, counts.warning == 1 ? "" : "s", counts.failed, counts.skipped);
  return text;
}

std::string DoctorJson(const std::vector<Finding>& findings) {
  return schema::ToJson(
      Report{.verdict = doctor::Gravest(findings), .counts = Count(findings), .checks = findings});
}

}  // namespace gathering::cmd
