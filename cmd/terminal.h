#pragma once
// Where words go: data to stdout, talk to stderr, questions to whoever sits there.
//
// Text is written at once, unbuffered.  A reader of stdout who left (`| head`) is
// no error: the rest is dropped silently.  Any other failure to write data throws
// Error kInternal, so that a full disk is not taken for success.
#include <optional>
#include <string>
#include <string_view>

namespace gathering::cmd {

void Print(std::string_view text);     // data: stdout, exactly `text`
void Complain(std::string_view line);  // talk: stderr, "gathering: <line>\n", control bytes escaped
void Tell(std::string_view text);      // talk: stderr, exactly `text`

// A line on stderr that the next one replaces; "" takes it away.  Only on a terminal, else nothing.
void ShowProgress(std::string_view line);

// A person can answer: stdin and stderr are terminals.
[[nodiscard]] bool Interactive();

// Asks on stderr and reads a line: true for "y" or "yes".  Nothing when nobody can answer.
[[nodiscard]] std::optional<bool> Confirm(std::string_view question);

}  // namespace gathering::cmd
