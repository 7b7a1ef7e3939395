#include "core/doctor/configuration.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace gathering::doctor {
namespace {

constexpr double kSecretBitsMin = 90;  // of 32 hexadecimal digits nearly all have more
constexpr std::string_view kMakeOne = "make one with: openssl rand -hex 32";

// The embedded database has a key of its own in the data directory.
Finding KeptSecret(const std::string& data_dir) {
  const std::string name = "config.secret_key";
  const std::string path = data_dir + "/secret_key";
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0)
    return Ok(name, "none is given; the first start makes and keeps one");
  if (!S_ISREG(about.st_mode) || (about.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Failed(name, fmt::format("{} is not a file that only its owner can read", path),
                  fmt::format("chmod 600 {}", path));
  }
  return Ok(name, path);
}

Finding JudgeSecret(const LoadAttempt& attempt) {
  const std::string name = "config.secret_key";
  const Config& config = attempt.loaded.config;
  const std::string& key = config.auth.secret_key;
  if (Refused(attempt, "auth.secret_key")) return Skipped(name, "needs config.values");
  if (key.empty() && config.database.pool.url.empty()) return KeptSecret(config.data_dir);
  if (key.empty()) {
    if (config.auth.disabled) return Skipped(name, "auth.disabled is on");
    return Failed(name, "auth.secret_key is not set", std::string{kMakeOne});
  }
  if (GuessBits(key) < kSecretBitsMin) {
    return Warning(name,
                   fmt::format("{} bytes that look made up, from {}", key.size(),
                               attempt.loaded.origins.find("auth.secret_key")->second),
                   std::string{kMakeOne});
  }
  return Ok(name, fmt::format("{} bytes, from {}", key.size(),
                              attempt.loaded.origins.find("auth.secret_key")->second));
}

// What the text repeats, to its end; all of it when it repeats nothing.
std::string_view RepeatedPart(std::string_view text) {
  std::vector<std::size_t> borders(text.size() + 1,
                                   0);  // of each beginning: its longest that is its end, too
  std::size_t border = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    while (border > 0 && text[i] != text[border]) border = borders[border];
    if (text[i] == text[border]) ++border;
    borders[i + 1] = border;
  }
  return text.substr(0, text.size() - borders[text.size()]);
}

}  // namespace

double GuessBits(std::string_view text) {
  text = RepeatedPart(text);
  std::array<double, 256> counts{};
  for (const char c : text) ++counts[static_cast<unsigned char>(c)];
  const double size = static_cast<double>(text.size());
  double bits = 0;
  for (const double count : counts) {
    if (count > 0) bits += count * std::log2(size / count);
  }
  return bits;
}

std::vector<Finding> JudgeConfiguration(const LoadAttempt& attempt,
                                        const std::vector<std::string>& problems) {
  std::vector<Finding> all;
  for (const std::string& problem : problems)
    all.push_back(FromLine("config.values", Verdict::kFailed, problem));
  if (problems.empty()) {
    const auto given = std::ranges::count_if(attempt.loaded.origins,
                                             [](const auto& origin) { return origin.second != "default"; });
    all.push_back(Ok("config.values", fmt::format("valid; {} of {} are not the default", given,
                                                  attempt.loaded.origins.size())));
  }
  for (const std::string& warning : attempt.loaded.warnings)
    all.push_back(FromLine("config.warnings", Verdict::kWarning, warning));
  if (attempt.loaded.warnings.empty()) all.push_back(Ok("config.warnings", "none"));
  all.push_back(JudgeSecret(attempt));
  return all;
}

bool Refused(const LoadAttempt& attempt, std::string_view prefix) {
  return !attempt.file_read || std::ranges::any_of(attempt.refused, [&](const std::string& key) {
    return key.starts_with(prefix);
  });
}

}  // namespace gathering::doctor
