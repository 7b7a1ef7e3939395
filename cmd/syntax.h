#pragma once
// What may follow a subcommand's name: its options, arguments and subcommands.
//
// A name with dashes is an option ("-y,--yes"), one without an argument by its place; an argument is declared
// like an option.  What is given is written into the `value` when the line is read, and wrong values end it
// with a usage error; the words for values ("FILE") are explained in cmd/command.h.  A value has to outlive
// the reading.  CLI11 is behind this, and its header, which takes a source seconds to read, stays there.
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace gathering::cmd {

enum class Presence : std::uint8_t { kOptional, kRequired };

// Both ends are included.
struct NumberRange {
  std::int64_t least = 0;
  std::int64_t most = 0;
};

// A handle: copies are of the same subcommand.
class Syntax {
 public:
  explicit Syntax(CLI::App& app) : app_(&app) {}

  void Flag(const std::string& names, bool& value, const std::string& help);
  void Text(const std::string& name, std::string& value, const std::string& word, const std::string& help,
            Presence presence = Presence::kOptional);
  // May be given several times.
  void Texts(const std::string& name, std::vector<std::string>& values, const std::string& word,
             const std::string& help);
  // All arguments that are left.
  void Words(const std::string& name, std::vector<std::string>& values, const std::string& word,
             const std::string& help);
  // One of `choices`; mistyped ones are answered with a suggestion.
  void Choice(const std::string& name, std::string& value, std::vector<std::string> choices,
              const std::string& help, Presence presence = Presence::kOptional);
  void Choice(const std::string& name, std::function<void(const std::string&)> take,
              std::vector<std::string> choices, const std::string& help,
              Presence presence = Presence::kOptional);
  // "500ms", "10s", "5m".
  void Duration(const std::string& name, std::chrono::milliseconds& value, const std::string& help);
  // The same, and the option alone stands for `alone`.
  void DurationOrAlone(const std::string& name, std::chrono::milliseconds& value, const std::string& alone,
                       const std::string& help);
  void Number(const std::string& name, std::uint32_t& value, NumberRange range, const std::string& help,
              Presence presence = Presence::kOptional);
  // Hands each value on as it is read: of several the last, or with `repeated` all.
  void Each(const std::string& name, std::function<void(const std::string&)> take, const std::string& word,
            const std::string& help, bool repeated);

  // With none of its subcommands given, a subcommand prints its help and ends with 2.
  Syntax Subcommand(const std::string& name, const std::string& help);
  // Whether the line named this subcommand.
  [[nodiscard]] bool given() const;

 private:
  CLI::App* app_;
};

}  // namespace gathering::cmd
