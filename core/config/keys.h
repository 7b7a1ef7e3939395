#pragma once
// Every configuration key, one object each.
//
// A key's name in the file is `name`; in the environment it is GATHERING_ and the
// name in capitals with dots as underscores, or one of the names of the system
// this one replaces.  Its default is what a default-constructed Config holds.
// The loader, --help, `config print`, gathering.toml(5) and the example file all
// read this table.  Every value is read at start; those that a running daemon takes
// over at a reload (core/config/reload.h) say so.
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/config/config.h"
#include "core/config/value.h"

namespace gathering::config {

// --- what a key's member is, and how to reach it ---------------------------------------------------

struct Text {
  std::string& (*of)(Config&);
};
struct List {
  std::vector<std::string>& (*of)(Config&);
};
struct Number {
  std::uint32_t& (*of)(Config&);
  std::uint32_t min;
  std::uint32_t max;
};
struct Size {  // bytes
  std::uint32_t& (*of)(Config&);
  std::uint32_t min;
  std::uint32_t max;
};
struct Milliseconds {
  std::chrono::milliseconds& (*of)(Config&);
  std::chrono::milliseconds min;
  std::chrono::milliseconds max;
};
struct Seconds {
  std::chrono::seconds& (*of)(Config&);
  std::chrono::seconds min;
  std::chrono::seconds max;
};
struct Boolean {
  bool& (*of)(Config&);
};
struct Choice {  // an enum that counts from 0 through `names`
  std::size_t (*get)(Config&);
  void (*set)(Config&, std::size_t);
  std::span<const std::string_view> names;
};
using Member = std::variant<Text, List, Number, Size, Milliseconds, Seconds, Boolean, Choice>;

enum class Secrecy : std::uint8_t {
  kOpen,
  kPassword,  // may hold a password: only that part is masked, and it may stand in a file of its own
  kSecret,    // masked wholly, no flag, may stand in a file of its own
};

// When a changed value holds.
enum class Holds : std::uint8_t {
  kAfterRestart,
  kAfterReload,
};
[[nodiscard]] std::string_view ToText(Holds holds);  // "a restart"

struct Key {
  std::string_view name;      // "http.listen"
  std::string_view sentence;  // what it decides
  Member member;
  std::string_view legacy = {};  // its environment name in the replaced system
  std::string_view flag = {};    // "--listen"
  std::string_view word = {};    // for the flag's value in help: "ADDRESS", "DIR"
  Secrecy secrecy = Secrecy::kOpen;
  Holds holds = Holds::kAfterRestart;
};

// In the order of the manual, grouped by table.
[[nodiscard]] std::span<const Key> Keys();
[[nodiscard]] const Key* FindKey(std::string_view name);
[[nodiscard]] const Key* FindFlag(std::string_view flag);

[[nodiscard]] std::string EnvironmentName(const Key& key);  // "GATHERING_HTTP_LISTEN"
[[nodiscard]] std::string Expected(const Key& key);         // "a duration from 1ms to 1h, like \"10s\""

// What is wrong with the value, or nothing when `config` now holds it.
[[nodiscard]] std::optional<std::string> Set(const Key& key, const Value& value, Config& config);
// The same from one text, as in the environment: lists are split at commas.
[[nodiscard]] std::optional<std::string> SetText(const Key& key, std::string_view text, Config& config);

[[nodiscard]] Value Get(const Key& key, const Config& config);
// The same for other eyes: secrets are "[secret]", unless empty.
[[nodiscard]] Value GetMasked(const Key& key, const Config& config);

}  // namespace gathering::config
