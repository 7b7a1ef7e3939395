#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "cmd/terminal.h"
#include "core/base/text.h"

namespace gathering::cmd {
namespace {

nlohmann::ordered_json Facts() {
  nlohmann::ordered_json libraries = nlohmann::ordered_json::object();
  for (const std::string& library : Split(GATHERING_LIBRARIES, ',')) {  // "boost 1.74.0", from the build
    const std::size_t space = library.find(' ');
    libraries[library.substr(0, space)] = library.substr(space + 1);
  }
  return {{"schema", 1}, {"version", GATHERING_VERSION}, {"compiler", __VERSION__}, {"libraries", libraries}};
}

}  // namespace

Action DeclareVersion(Syntax syntax, Context&) {
  auto output = std::make_shared<Output>(Output::kText);
  AddOutputFlag(syntax, *output);
  return [output] {
    Print(*output == Output::kJson ? Facts().dump(2) + "\n" : "gathering " GATHERING_VERSION "\n");
    return Exit::kOk;
  };
}

}  // namespace gathering::cmd
