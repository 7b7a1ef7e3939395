#include "cmd/syntax.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "core/base/text.h"
#include "core/config/value.h"

namespace gathering::cmd {
namespace {

using std::chrono::milliseconds;

void Require(CLI::Option& option, Presence presence) {
  option.required(presence == Presence::kRequired);
}

// CLI11 itself would read an empty text as 0, and knows no units.
CLI::Option* AddParsed(CLI::App& app, const std::string& name,
                       const std::function<void(const std::string&)>& take, const std::string& word,
                       const std::string& help) {
  return app.add_option_function<std::string>(name, take, help)->type_name(word);
}

CLI::Option* AddDuration(CLI::App& app, const std::string& name, milliseconds& value,
                         const std::string& help) {
  const auto take = [&value, name](const std::string& text) {
    const auto duration = config::ParseDuration(text);
    if (!duration)
      throw CLI::ValidationError{name, fmt::format("'{}' is no duration like 500ms, 10s or 5m", text)};
    value = *duration;
  };
  return AddParsed(app, name, take, "TIME", help);
}

}  // namespace

void Syntax::Flag(const std::string& names, bool& value, const std::string& help) {
  app_->add_flag(names, value, help);
}

void Syntax::Text(const std::string& name, std::string& value, const std::string& word,
                  const std::string& help, Presence presence) {
  Require(*app_->add_option(name, value, help)->type_name(word), presence);
}

void Syntax::Texts(const std::string& name, std::vector<std::string>& values, const std::string& word,
                   const std::string& help) {
  Each(
      name, [&values](const std::string& text) { values.push_back(text); }, word, help, true);
}

void Syntax::Words(const std::string& name, std::vector<std::string>& values, const std::string& word,
                   const std::string& help) {
  app_->add_option(name, values, help)->type_name(word);
}

void Syntax::Choice(const std::string& name, std::string& value, std::vector<std::string> choices,
                    const std::string& help, Presence presence) {
  Choice(
      name, [&value](const std::string& text) { value = text; }, std::move(choices), help, presence);
}

void Syntax::Choice(const std::string& name, std::function<void(const std::string&)> take,
                    std::vector<std::string> choices, const std::string& help, Presence presence) {
  const std::string word = fmt::format("{}", fmt::join(choices, "|"));
  const auto check = [choices = std::move(choices)](std::string& given) -> std::string {
    for (const std::string& choice : choices) {
      if (choice == given) return {};
    }
    return fmt::format("'{}' is not one of {}{}", given, fmt::join(choices, ", "),
                       DidYouMean(given, std::vector<std::string_view>{choices.begin(), choices.end()}));
  };
  Require(*AddParsed(*app_, name, take, word, help)->check(CLI::Validator{check, ""}), presence);
}

void Syntax::Duration(const std::string& name, milliseconds& value, const std::string& help) {
  AddDuration(*app_, name, value, help);
}

void Syntax::DurationOrAlone(const std::string& name, milliseconds& value, const std::string& alone,
                             const std::string& help) {
  AddDuration(*app_, name, value, help)->expected(0, 1)->default_str(alone);
}

void Syntax::Number(const std::string& name, std::uint32_t& value, NumberRange range, const std::string& help,
                    Presence presence) {
  const auto take = [&value, name, range](const std::string& text) {
    const auto number = config::ParseInteger(text);
    if (!number || *number < range.least || *number > range.most) {
      throw CLI::ValidationError{
          name, fmt::format("'{}' is not a number from {} to {}", text, range.least, range.most)};
    }
    value = static_cast<std::uint32_t>(*number);
  };
  Require(*AddParsed(*app_, name, take, "NUMBER", help), presence);
}

void Syntax::Each(const std::string& name, std::function<void(const std::string&)> take,
                  const std::string& word, const std::string& help, bool repeated) {
  const auto take_all = [take = std::move(take)](const std::vector<std::string>& values) {
    for (const std::string& value : values) take(value);
  };
  app_->add_option_function<std::vector<std::string>>(name, take_all, help)
      ->type_name(word)
      ->expected(1)
      ->multi_option_policy(repeated ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::TakeLast);
}

Syntax Syntax::Subcommand(const std::string& name, const std::string& help) {
  return Syntax{*app_->add_subcommand(name, help)};
}

bool Syntax::given() const {
  return app_->parsed();
}

}  // namespace gathering::cmd
