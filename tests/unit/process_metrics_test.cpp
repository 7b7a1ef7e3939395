// What /proc says of a process, and what is made of it.
#include <catch2/catch.hpp>

#include "core/health/process.h"
#include "tests/support/temporary_directory.h"

namespace gathering::health {
namespace {

constexpr std::string_view kStat =
    "4711 (a ) (b) S 1 4711 4711 0 -1 4194560 1 2 3 4 250 150 7 8 20 0 9 0 6000 1048576 25 "
    "18446744073709551615 "
    "1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
constexpr KernelUnits kUnits{.ticks_per_second = 100, .page_bytes = 4'096};

}  // namespace

TEST_CASE("a process' stat is read by its columns, whatever the command is called", "[health]") {
  ProcessMetrics metrics;
  ParseProcessStat(kStat, kUnits, 1'000'000.0, metrics);
  CHECK(metrics.cpu_seconds == 4.0);
  CHECK(metrics.threads == 9);
  CHECK(metrics.start_time_seconds == 1'000'060.0);
  CHECK(metrics.virtual_memory_bytes == 1'048'576);
  CHECK(metrics.resident_memory_bytes == 25 * 4'096);
}

TEST_CASE("what is not said of a process is absent", "[health]") {
  for (const std::string_view text : {"", "4711", "4711 (x)", "4711 (x) S 1 2 3", "4711 (x) S a b c d e"}) {
    INFO(text);
    ProcessMetrics metrics;
    ParseProcessStat(text, kUnits, 1.0, metrics);
    CHECK_FALSE(metrics.cpu_seconds);
    CHECK_FALSE(metrics.start_time_seconds);
    CHECK_FALSE(metrics.threads);
    CHECK_FALSE(metrics.resident_memory_bytes);
  }
  ProcessMetrics metrics;
  ParseProcessStat(kStat, kUnits, std::nullopt, metrics);
  CHECK_FALSE(metrics.start_time_seconds);
  CHECK(metrics.cpu_seconds);
  CHECK(ParseBootTime("cpu 1 2\nbtime 1700000000\nprocesses 3\n") == 1'700'000'000.0);
  CHECK_FALSE(ParseBootTime("cpu 1 2\n"));
  CHECK_FALSE(ParseBootTime("cpu 1 2\nbtime x\n"));
  const test::TemporaryDirectory nothing;
  CHECK_FALSE(ReadProcess(nothing.path()).cpu_seconds);
  CHECK_FALSE(ReadProcess(nothing.path()).open_fds);
}

TEST_CASE("this process is running, with files open", "[health]") {
  const ProcessMetrics metrics = ReadProcess();
  CHECK(metrics.threads >= 1);
  CHECK(metrics.open_fds >= 3);
  CHECK(metrics.max_fds >= metrics.open_fds);
  CHECK(metrics.resident_memory_bytes > 1'000'000);
  CHECK(metrics.virtual_memory_bytes >= metrics.resident_memory_bytes);
  CHECK(metrics.start_time_seconds > 1'600'000'000.0);
}

}  // namespace gathering::health
