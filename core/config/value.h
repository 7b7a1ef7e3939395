#pragma once
// A configuration value as people write it, before it has a C++ type.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace gathering::config {

// What a TOML file can hold for us.  Durations are strings ("10s"), sizes are integers or strings ("1MiB").
using Value = std::variant<std::string, std::int64_t, bool, std::vector<std::string>>;

[[nodiscard]] std::optional<std::int64_t> ParseInteger(std::string_view text);  // decimal, the whole text
[[nodiscard]] std::optional<bool> ParseBoolean(std::string_view text);  // true/false, 1/0, yes/no, on/off

// "500ms", "10s", "5m", "24h": a whole number and a unit.
[[nodiscard]] std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
[[nodiscard]] std::string ToText(
    std::chrono::milliseconds duration);  // in the largest unit that loses nothing

// "4096", "16KiB", "1MiB", "1GiB".
[[nodiscard]] std::optional<std::int64_t> ParseSize(std::string_view text);
[[nodiscard]] std::string SizeToText(std::int64_t bytes);  // in the largest unit that loses nothing

[[nodiscard]] std::string ToToml(const Value& value);  // on one line, strings quoted and escaped

// A PostgreSQL URL or keyword string with its password replaced by "[secret]".
[[nodiscard]] std::string WithoutPassword(std::string_view database_url);

}  // namespace gathering::config
