#include "tests/support/temporary_directory.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace gathering::test {
namespace {

constexpr std::uintmax_t kRoom = std::uintmax_t{1} << 30;

std::filesystem::path Parent(TemporaryDirectory::Place place) {
  if (place == TemporaryDirectory::Place::kMemory) {
    const std::filesystem::path memory = "/dev/shm";
    std::error_code missing;
    const auto space = std::filesystem::space(memory, missing);
    if (!missing && space.available >= kRoom) return memory;
  }
  return std::filesystem::temp_directory_path();
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(Place place)
    : path_((Parent(place) / "gathering-test-XXXXXX").string()) {
  if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error{"no directory can be made for tests"};
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace gathering::test
