#include "tests/support/temporary_directory.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace gathering::test {

TemporaryDirectory::TemporaryDirectory()
    : path_((std::filesystem::temp_directory_path() / "gathering-test-XXXXXX").string()) {
  if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error{"no directory can be made for tests"};
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace gathering::test
