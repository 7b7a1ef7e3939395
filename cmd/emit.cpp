#include "cmd/emit.h"

#include <cerrno>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

#include "core/base/error.h"

namespace gathering::cmd {
namespace {

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream out{path, std::ios::binary | std::ios::trunc};
  out << text;
  out.close();
  if (out) return;
  throw Error{Code::kInternal,
              fmt::format("cannot write {}: {}", path, std::generic_category().message(errno))};
}

}  // namespace

Action DeclareEmit(Syntax syntax, Context&) {
  struct Options {
    std::string what;
    std::string directory;
  };
  auto options = std::make_shared<Options>();
  syntax.Choice("WHAT", options->what, {"man", "completions", "config"}, "man, completions or config",
                Presence::kRequired);
  syntax.Text("DIR", options->directory, "DIR", "Where to write", Presence::kRequired);
  return [options] {
    const CommandInfo root = Tree{{}}.Describe();
    Files files = {{"gathering.toml", ExampleConfig()}};
    if (options->what == "man") files = ManualPages(root);
    if (options->what == "completions") files = Completions(root);
    for (const auto& [name, text] : files) WriteFile(options->directory + "/" + name, text);
    return Exit::kOk;
  };
}

}  // namespace gathering::cmd
