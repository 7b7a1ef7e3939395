#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "core/base/log.h"
#include "core/config/config.h"

// What a test provokes is not news.
int main(int argc, char* argv[]) {
  gathering::log::SetLevel(gathering::LogLevel::kError);
  return Catch::Session{}.run(argc, argv);
}
