// What /proc says, and what is made of it.
#include <catch2/catch.hpp>

#include <fstream>

#include "core/health/monitor.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using health::CheckStatus;

health::Findings Well() {
  return {.system = {.cpu = {.count = 2}}, .database_answers = true, .now = {}};
}

}  // namespace

TEST_CASE("busy ticks leave out idleness, waiting and what guests are counted for twice", "[health]") {
  const auto times = health::ParseStat(
      "cpu  100 5 20 800 50 3 2 0 40 1\ncpu0 50 5 10 400 25 3 1 0 20 1\ncpu1 50 0 10 400 25 0 1 0 20 0\n"
      "intr 12345\nctxt 99\n");
  CHECK(times.cpus == 2);
  CHECK(times.total == 980);
  CHECK(times.busy == 130);
  CHECK(health::ParseStat("").total == 0);
  CHECK(health::ParseStat("cpu").total == 0);
  CHECK(health::ParseStat("cpu x y").total == 0);
}

TEST_CASE("the share of busy ticks is of the time between two readings", "[health]") {
  CHECK(health::BusyPercent({.busy = 100, .total = 1000}, {.busy = 125, .total = 1100}) == 25.0);
  CHECK(health::BusyPercent({.busy = 0, .total = 0}, {.busy = 1, .total = 3}) == 33.3);
  CHECK(health::BusyPercent({.busy = 5, .total = 10}, {.busy = 5, .total = 10}) == 0.0);
  CHECK(health::BusyPercent({.busy = 9, .total = 10}, {.busy = 5, .total = 20}) == 0.0);
}

TEST_CASE("memory in use is what is not available", "[health]") {
  const auto memory = health::ParseMeminfo(
      "MemTotal:        8388608 kB\nMemFree:         2097152 kB\nMemAvailable:    6291456 kB\n"
      "Buffers:          524288 kB\nCached:          3145728 kB\nSwapCached: 1 kB\n");
  CHECK(memory.total_gb == 8.0);
  CHECK(memory.available_gb == 6.0);
  CHECK(memory.used_gb == 2.5);
  CHECK(memory.percent == 25.0);
  CHECK(health::ParseMeminfo("nonsense").percent == 0.0);
}

TEST_CASE("load and frequency are read as they are written", "[health]") {
  const auto load = health::ParseLoadavg("0.52 1.25 2.00 1/345 6789\n");
  CHECK(load.one == 0.52);
  CHECK(load.five == 1.25);
  CHECK(load.fifteen == 2.0);
  CHECK(health::ParseLoadavg("").one == 0.0);
  CHECK(health::ParseCpuinfoMhz(
            "processor\t: 0\ncpu MHz\t\t: 2000.5\nprocessor\t: 1\ncpu MHz\t\t: 3000.5\n") == 2500.5);
  CHECK_FALSE(health::ParseCpuinfoMhz("processor\t: 0\nBogoMIPS\t: 50.00\n").has_value());
}

TEST_CASE("the machine the tests run on has processors, memory and a disk", "[health]") {
  const SystemClock clock;
  health::Monitor monitor{clock, {.data_dir = "/nowhere/at/all"}};
  const auto metrics = monitor.System();
  CHECK(metrics.cpu.count > 0);
  CHECK(metrics.memory.total_gb > 0);
  CHECK(metrics.memory.percent > 0);
  CHECK(metrics.disk.total_gb > 0);
  CHECK(metrics.disk.percent <= 100);
}

TEST_CASE("two readings too close together answer the same share", "[health]") {
  const TemporaryDirectory proc;
  const auto write = [&](std::string_view text) { std::ofstream{proc.path() + "/stat"} << text; };
  ManualClock clock;
  health::Monitor monitor{clock, {.data_dir = "/", .proc_dir = proc.path()}};
  write("cpu  50 0 0 50\n");
  CHECK(monitor.System().cpu.percent == 50.0);
  write("cpu  60 0 0 140\n");
  clock.Advance(99ms);
  CHECK(monitor.System().cpu.percent == 50.0);
  clock.Advance(1ms);
  CHECK(monitor.System().cpu.percent == 10.0);
  CHECK(monitor.UptimeSeconds() == 0.1);
}

TEST_CASE("the database's answer is remembered for a second", "[health]") {
  ManualClock clock;
  health::Monitor monitor{clock, {.data_dir = "/"}};
  CHECK_FALSE(monitor.DatabaseKnown().has_value());
  monitor.DatabaseAnswered(true);
  clock.Advance(999ms);
  CHECK(monitor.DatabaseKnown() == true);
  clock.Advance(1ms);
  CHECK_FALSE(monitor.DatabaseKnown().has_value());

  SECTION("and for others while one caller asks again") {
    CHECK(monitor.DatabaseKnown() == true);
    monitor.DatabaseAnswered(false);
    CHECK(monitor.DatabaseKnown() == false);
  }
  SECTION("but not for ever when that caller never answers") {
    clock.Advance(1s);
    CHECK_FALSE(monitor.DatabaseKnown().has_value());
  }
}

TEST_CASE("checks warn before they are critical, and the worst decides", "[health]") {
  CHECK(health::Judge(Well()).overall_status == CheckStatus::kHealthy);
  CHECK(health::Judge(Well()).checks.size() == 6);

  health::Findings findings = Well();
  SECTION("memory warns from 70 %") {
    findings.system.memory.percent = 69.9;
    CHECK(health::Judge(findings).overall_status == CheckStatus::kHealthy);
    findings.system.memory.percent = 70;
    CHECK(health::Judge(findings).overall_status == CheckStatus::kWarning);
    CHECK(health::Judge(findings).checks[2].value == "70.0%");
    findings.system.memory.percent = 90;
    CHECK(health::Judge(findings).overall_status == CheckStatus::kCritical);
  }
  SECTION("the disk from 80 %") {
    findings.system.disk.percent = 80;
    CHECK(health::Judge(findings).overall_status == CheckStatus::kWarning);
    findings.system.disk.percent = 90;
    CHECK(health::Judge(findings).overall_status == CheckStatus::kCritical);
  }
  SECTION("the load by CPU") {
    findings.system.load_average.one = 2;
    CHECK(health::Judge(findings).overall_status == CheckStatus::kWarning);
    findings.system.load_average.one = 4;
    CHECK(health::Judge(findings).overall_status == CheckStatus::kCritical);
  }
  SECTION("a database that is away is critical") {
    findings.database_answers = false;
    const auto checks = health::Judge(findings);
    CHECK(checks.overall_status == CheckStatus::kCritical);
    CHECK(checks.checks[1].name == "Database");
    CHECK(checks.checks[1].status == CheckStatus::kCritical);
  }
}

}  // namespace gathering::test
