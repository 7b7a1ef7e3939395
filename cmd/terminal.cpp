#include "cmd/terminal.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/text.h"

namespace gathering::cmd {
namespace {

constexpr std::size_t kAnswerBytesMax = 64;

std::string WithoutControls(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    clean += byte < 0x20 || byte == 0x7F ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return clean;
}

}  // namespace

void Print(std::string_view text) {
  const int error = WriteAll(STDOUT_FILENO, text);
  if (error == 0 || error == EPIPE) return;
  throw Error{Code::kInternal,
              fmt::format("cannot write to standard output: {}", std::generic_category().message(error))};
}

void Complain(std::string_view line) {
  Tell(fmt::format("gathering: {}\n", WithoutControls(line)));
}

void Tell(std::string_view text) {
  WriteAll(STDERR_FILENO, text);  // nobody is left to hear of a failure
}

void ShowProgress(std::string_view line) {
  if (::isatty(STDERR_FILENO) != 0) Tell(fmt::format("\r\x1b[K{}", line));
}

bool Interactive() {
  return ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
}

std::optional<bool> Confirm(std::string_view question) {
  if (!Interactive()) return std::nullopt;
  Tell(fmt::format("{} [y/N] ", question));
  std::string answer(kAnswerBytesMax, '\0');
  const ssize_t length = ::read(STDIN_FILENO, answer.data(), answer.size());
  if (length <= 0) return false;
  answer.resize(static_cast<std::size_t>(length));
  const std::string word = Lower(Trimmed(answer));
  return word == "y" || word == "yes";
}

}  // namespace gathering::cmd
