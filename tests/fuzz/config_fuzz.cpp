// A configuration file: refused in lines that say where, or read and written to the same again.
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

#include "core/base/fd.h"
#include "core/config/keys.h"
#include "core/config/load.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::fuzz::Require;
namespace config = gathering::config;

// None: it was refused.
std::optional<gathering::LoadedConfig> Load(std::string_view text) {
  const gathering::Fd file{::memfd_create("config", MFD_CLOEXEC)};
  Require(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()),
          "it is written");
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  try {
    return gathering::LoadConfig({.environment = {{"HOME", "/nowhere"}}, .file = path, .default_file = {}});
  } catch (const gathering::ConfigError& error) {
    Require(!error.problems.empty(), "a refusal says why");
    for (const std::string& problem : error.problems) Require(!problem.empty(), "each problem has words");
    return std::nullopt;
  }
}

// As `config print` does, with the secrets.
std::string Printed(const gathering::Config& loaded) {
  std::string text;
  for (const config::Key& key : config::Keys())
    text.append(key.name).append(" = ").append(config::ToToml(config::Get(key, loaded))).append("\n");
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  if (text.find("_file") != std::string_view::npos) return 0;  // files of this machine are not the input's
  const auto loaded = Load(text);
  if (!loaded) return 0;
  for (const config::Key& key : config::Keys()) {
    Require(loaded->origins.contains(key.name), "each value came from somewhere");
    config::Value value = config::GetMasked(key, loaded->config);
    if (key.secrecy == config::Secrecy::kSecret)
      Require(value == config::Value{std::string{}} || value == config::Value{std::string{"[secret]"}},
              "secrets are masked");
  }
  const std::string printed = Printed(loaded->config);
  const auto again = Load(printed);
  if (!again) throw gathering::fuzz::BrokenPromise{"what is printed cannot be read:\n" + printed};
  gathering::fuzz::RequireSame(Printed(again->config), printed, "what is printed is read back");
  return 0;
}
