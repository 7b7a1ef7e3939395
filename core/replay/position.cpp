#include "core/replay/position.h"

#include <fcntl.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/replay/files.h"
#include "core/schema/reader.h"
#include "core/schema/writer.h"

namespace gathering::replay {
namespace {

constexpr std::size_t kBytesMax = 64 * 1024;

std::optional<std::string> ReadAll(const std::string& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  std::ifstream in{file, std::ios::binary};
  std::string text(kBytesMax, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.fail() && !in.eof()))
    throw Error{Code::kRejected, fmt::format("cannot read {}; --resume needs a file", file)};
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

Position Parse(const std::string& file, const std::string& text) {
  std::vector<FieldError> errors;
  try {
    auto position = schema::ReadJson<Position>(schema::ParseJson(text, {}), "position", errors);
    if (errors.empty() && position.place.sequence >= 0 && position.place.line >= 0 &&
        position.place.offset >= 0)
      return position;
  } catch (const Error&) {
    // It is said below.
  }
  throw Error{Code::kRejected,
              fmt::format("{} holds no position of a replay; name another file, or remove it to begin at the "
                          "beginning",
                          file)};
}

void RequireSame(const std::string& file, std::string_view what, const std::string& was,
                 const std::string& is) {
  if (was == is) return;
  throw Error{Code::kRejected,
              fmt::format("{} belongs to another {}: {}, and this is {}; name another file, or remove it to "
                          "begin at the beginning",
                          file, what, was, is)};
}

}  // namespace

std::optional<Position> Load(const std::string& file, const Position& expected) {
  const auto text = ReadAll(file);
  if (!text) return std::nullopt;
  Position position = Parse(file, *text);
  RequireSame(file, "input", position.input, expected.input);
  RequireSame(file, "output", position.output, expected.output);
  return position;
}

void Save(const std::string& file, const Position& position) {
  const std::string next = file + ".new";
  {
    const Fd fd{::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    if (!fd.valid()) ThrowFileError("write", next);
    WriteAll(fd.get(), next, schema::ToJson(position) + "\n");
    if (::fdatasync(fd.get()) != 0) ThrowFileError("write", next);
  }
  if (::rename(next.c_str(), file.c_str()) != 0) ThrowFileError("write", file);
}

}  // namespace gathering::replay
