// What a test provokes is not news: in each binary of tests, for which it is an object of its own.
#include "core/base/log.h"
#include "core/config/config.h"

namespace gathering::test {
namespace {

[[maybe_unused]] const bool kQuiet = [] {
  log::SetLevel(LogLevel::kError);
  return true;
}();

}  // namespace
}  // namespace gathering::test
