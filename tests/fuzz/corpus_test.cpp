// What fuzzers found once, and what shows a reader its ways, through the targets of tests/fuzz/.
#include <catch2/catch.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

extern "C" {
#define FUZZ_TARGET(name) int Fuzz_##name(const std::uint8_t* data, std::size_t size);
#include "tests/fuzz/targets.inc"
#undef FUZZ_TARGET
}

namespace {

namespace fs = std::filesystem;

struct Target {
  std::string name;
  int (*run)(const std::uint8_t* data, std::size_t size);
};

#define FUZZ_TARGET(name) {#name, &Fuzz_##name},
const Target kTargets[] = {
#include "tests/fuzz/targets.inc"
};
#undef FUZZ_TARGET

const fs::path kCorpus = fs::path{GATHERING_SOURCE_DIR} / "tests/fuzz/corpus";
constexpr std::size_t kFileBytesMax = 16'384;
constexpr std::size_t kCutsMax = 64;

std::string WholeFile(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// A buffer of exactly these bytes, so that whoever looks behind them is seen by a sanitizer.
void Run(const Target& target, std::string_view input) {
  const std::vector<std::uint8_t> bytes{input.begin(), input.end()};
  target.run(bytes.data(), bytes.size());
}

}  // namespace

TEST_CASE("every reader keeps its promises for its corpus, whole and cut off", "[corpus]") {
  for (const Target& target : kTargets) {
    DYNAMIC_SECTION(target.name) {
      std::size_t files = 0;
      for (const auto& entry : fs::directory_iterator{kCorpus / target.name}) {
        INFO(entry.path().string());
        const std::string input = WholeFile(entry.path());
        CHECK_NOTHROW(Run(target, input));
        const std::size_t step = input.size() / kCutsMax + 1;
        for (std::size_t size = 0; size < input.size(); size += step) {
          INFO("its first " << size << " bytes");
          CHECK_NOTHROW(Run(target, input.substr(0, size)));
        }
        ++files;
      }
      CHECK(files > 0);
    }
  }
}

TEST_CASE("a corpus is small and belongs to a target", "[corpus]") {
  std::set<std::string> names;
  for (const Target& target : kTargets) names.insert(target.name);
  for (const auto& entry : fs::recursive_directory_iterator{kCorpus}) {
    INFO(entry.path().string());
    if (entry.is_directory()) {
      CHECK(names.contains(entry.path().filename().string()));
    } else {
      CHECK(entry.file_size() <= kFileBytesMax);
    }
  }
}
