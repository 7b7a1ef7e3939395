#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <sstream>
#include <thread>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/base/log.h"
#include "core/config/config.h"

namespace gathering {
namespace {

// While it lives, the process's stderr is the given descriptor.
class StderrIs {
 public:
  explicit StderrIs(int fd) : before_(::dup(STDERR_FILENO)) { ::dup2(fd, STDERR_FILENO); }
  ~StderrIs() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }
  StderrIs(const StderrIs&) = delete;
  StderrIs& operator=(const StderrIs&) = delete;

 private:
  int before_;
};

class TemporaryFile {
 public:
  TemporaryFile() : fd(::memfd_create("log", MFD_CLOEXEC)) { REQUIRE(fd >= 0); }
  ~TemporaryFile() { ::close(fd); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  std::vector<std::string> Lines() const {
    std::string text(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)), '\0');
    REQUIRE(::pread(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    std::vector<std::string> lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }

  const int fd;
};

template <class F>
std::vector<std::string> LinesOf(LogConfig config, F&& work) {
  const TemporaryFile file;
  {
    const StderrIs redirected{file.fd};
    log::Start(config);
    work();
    log::Stop();
  }
  return file.Lines();
}

constexpr LogConfig kJson{.level = LogLevel::kDebug, .format = LogFormat::kJson};

}  // namespace

TEST_CASE("a log line is one JSON object with time, level, message and fields", "[log]") {
  const auto lines = LinesOf(kJson, [] {
    log::Warn("disk is filling", {{"path", "/var"}, {"percent", 91}, {"ratio", 0.5}, {"critical", false}});
  });
  REQUIRE(lines.size() == 1);
  const auto line = nlohmann::json::parse(lines[0]);
  CHECK(line["level"] == "warning");
  CHECK(line["msg"] == "disk is filling");
  CHECK(line["path"] == "/var");
  CHECK(line["percent"] == 91);
  CHECK(line["ratio"] == 0.5);
  CHECK(line["critical"] == false);
  CHECK(line["time"].get<std::string>().ends_with("Z"));
}

TEST_CASE("lines below the level are not written, and the level can change", "[log]") {
  const auto lines = LinesOf({.level = LogLevel::kWarning, .format = LogFormat::kJson}, [] {
    log::Info("not this");
    CHECK_FALSE(log::InfoEnabled());
    log::SetLevel(LogLevel::kDebug);
    CHECK(log::DebugEnabled());
    log::Debug("but this");
  });
  REQUIRE(lines.size() == 1);
  CHECK(nlohmann::json::parse(lines[0])["msg"] == "but this");
}

TEST_CASE("hostile text stays one line, whole and readable as JSON", "[log]") {
  const std::string hostile = "a\nb\r\x1b[31m\"\\\x7f\xc2\x9b" + std::string(1, '\0') + "\xff\xc3\xa9";
  const auto lines = LinesOf(kJson, [&] { log::Error(hostile, {{"name", hostile}}); });
  REQUIRE(lines.size() == 1);
  for (const char c : lines[0]) CHECK(static_cast<unsigned char>(c) >= 0x20);
  CHECK(lines[0].find("\xc2\x9b") == std::string::npos);
  const auto line = nlohmann::json::parse(lines[0]);
  const std::string kept = "a\nb\r\x1b[31m\"\\\x7f\xc2\x9b" + std::string(1, '\0') + "\xef\xbf\xbd\xc3\xa9";
  CHECK(line["msg"] == kept);
  CHECK(line["name"] == kept);
}

TEST_CASE("hostile text cannot start a line of its own on the console either", "[log]") {
  const auto lines = LinesOf({.level = LogLevel::kInfo, .format = LogFormat::kConsole}, [] {
    log::Info("hello\n00:00:00.000 ERROR fake", {{"who", "x y\x1b[0m"}, {"n", 3}, {"plain", "word"}});
  });
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("INFO  hello\\n00:00") != std::string::npos);
  CHECK(lines[0].ends_with(R"(who="x y\u001b[0m" n=3 plain=word)"));
}

TEST_CASE("a line is cut at 16 KiB and still JSON", "[log]") {
  for (const std::size_t bytes : {16'200UL, 16'290UL, 16'300UL, 16'310UL, 16'320UL, 16'384UL, 100'000UL}) {
    for (const char* unit : {"x", "\xc3\xa9", "\n"}) {
      std::string value;
      while (value.size() < bytes) value += unit;
      const auto lines = LinesOf(kJson, [&] {
        log::Info("long", {{"value", value}, {"after", 1}, {"more", "text"}});
      });
      REQUIRE(lines.size() == 1);
      INFO(bytes << " of " << unit);
      CHECK(lines[0].size() < 16 * 1'024);
      const auto line = nlohmann::json::parse(lines[0]);
      CHECK(value.starts_with(line["value"].get<std::string>()));
      CHECK(line.contains("cut") == !line.contains("more"));
    }
  }
}

TEST_CASE("a reader who stops reading costs lines, not the process", "[log]") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const std::uint64_t before = log::Dropped();
  const auto start = std::chrono::steady_clock::now();
  {
    const StderrIs redirected{ends[1]};
    log::Start({.level = LogLevel::kInfo, .format = LogFormat::kJson, .queue_max = 16});
    const std::string kilobyte(1'024, 'x');
    for (int i = 0; i < 1'000; ++i) log::Info("line", {{"text", kilobyte}});
    CHECK(log::Dropped() - before > 800);  // a pipe holds 64 lines, the queue 16
    log::Stop();
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{10});
  CHECK(log::Dropped() - before > 900);  // what waited at Stop is counted too
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a reader who left costs lines, not the process", "[log]") {
  const auto old_handler = std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  const std::uint64_t before = log::Dropped();
  {
    const StderrIs redirected{ends[1]};
    log::Start(kJson);
    for (int i = 0; i < 10; ++i) log::Info("line");
    log::Stop();
  }
  CHECK(log::Dropped() - before == 10);
  ::close(ends[1]);
  std::signal(SIGPIPE, old_handler);
}

TEST_CASE("lines from many threads are whole and none is lost while there is room", "[log]") {
  const auto lines = LinesOf(kJson, [] {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 500; ++i) log::Info("line", {{"thread", t}, {"i", i}});
      });
    }
  });
  CHECK(lines.size() == 2'000);
  for (const std::string& line : lines) REQUIRE(nlohmann::json::accept(line));
}

TEST_CASE("lines are written before Start and after Stop too", "[log]") {
  const TemporaryFile file;
  {
    const StderrIs redirected{file.fd};
    log::Stop();
    log::Error("early");
  }
  CHECK(file.Lines().size() == 1);
}

}  // namespace gathering
