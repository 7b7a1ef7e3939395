#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <thread>

#include <catch2/catch.hpp>

#include "core/base/log.h"
#include "core/config/config.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"

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
constexpr LogConfig kConsole{.level = LogLevel::kDebug, .format = LogFormat::kConsole};

log::Context Somebody() {
  log::Context context{.request_id = "6f9619ff-8b86-4d01-b42d-00c04fc964ff", .trace_id = {}, .span_id = {}};
  context.trace_id.fill('a');
  context.span_id.fill('b');
  return context;
}

// While it lives, $JOURNAL_STREAM names a file.
class JournalIs {
 public:
  JournalIs(const TemporaryFile& file, int inode_off_by) {
    struct stat status {};
    REQUIRE(::fstat(file.fd, &status) == 0);
    const std::string stream = std::to_string(status.st_dev) + ":" +
                               std::to_string(status.st_ino + static_cast<ino_t>(inode_off_by));
    ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
  }
  ~JournalIs() { ::unsetenv("JOURNAL_STREAM"); }
  JournalIs(const JournalIs&) = delete;
  JournalIs& operator=(const JournalIs&) = delete;
};

// The log's stderr: a pipe that is read when the test wants.
class SlowReader {
 public:
  SlowReader() {
    REQUIRE(::pipe2(ends_, O_CLOEXEC | O_NONBLOCK) == 0);
    redirected_.emplace(ends_[1]);
  }
  ~SlowReader() {
    log::Stop();
    redirected_.reset();
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  SlowReader(const SlowReader&) = delete;
  SlowReader& operator=(const SlowReader&) = delete;

  // Reads what there is.
  void Read() {
    std::array<char, 65'536> buffer;
    for (ssize_t count = 0; (count = ::read(ends_[0], buffer.data(), buffer.size())) > 0;)
      text_.append(buffer.data(), static_cast<std::size_t>(count));
    for (std::size_t end = 0; (end = text_.find('\n')) != std::string::npos; text_.erase(0, end + 1))
      Take(nlohmann::json::parse(text_.substr(0, end)));
  }
  // How often dropped lines were told of, and how many, and how many others came.
  struct Told {
    int times = 0;
    std::uint64_t dropped = 0;
    std::uint64_t others = 0;
  };
  const Told& told() const { return told_; }

 private:
  int ends_[2];
  std::optional<StderrIs> redirected_;
  void Take(const nlohmann::json& line) {
    if (line.at("msg") != "log lines were dropped") {
      ++told_.others;
      return;
    }
    CHECK(line.at("level") == "warning");
    ++told_.times;
    told_.dropped += line.at("lines").get<std::uint64_t>();
  }

  std::string text_;
  Told told_;
};

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

TEST_CASE("a line of somebody's request says whose, in both formats, and only while the scope lives",
          "[log]") {
  for (const LogConfig& config : {kJson, kConsole}) {
    const auto lines = LinesOf(config, [] {
      const log::Context context = Somebody();
      const log::Context unnamed;
      log::Info("before");
      const log::Scope outer{&context};
      log::Info("within", {{"n", 1}});
      {
        const log::Scope inner{nullptr};
        log::Info("nobody");
      }
      {
        const log::Scope inner{&unnamed};
        log::Info("unnamed");
      }
      log::Info("again");
    });
    REQUIRE(lines.size() == 5);
    for (const std::size_t without : {0, 2, 3}) CHECK(lines[without].find("_id") == std::string::npos);
    for (const std::size_t with : {1, 4}) {
      for (const std::string& id : {Somebody().request_id, std::string(32, 'a'), std::string(16, 'b')})
        CHECK(lines[with].find(id) != std::string::npos);
    }
  }
  const auto lines = LinesOf(kJson, [] {
    const log::Context context = Somebody();
    const log::Scope scope{&context};
    log::Info("within");
  });
  const auto line = nlohmann::json::parse(lines.at(0));
  CHECK(line.at("request_id") == Somebody().request_id);
  CHECK(line.at("trace_id") == std::string(32, 'a'));
  CHECK(line.at("span_id") == std::string(16, 'b'));
}

TEST_CASE("a line that is cut still says whose request it is", "[log]") {
  for (const std::size_t bytes : {16'100UL, 16'150UL, 16'200UL, 16'250UL, 16'300UL, 16'384UL, 100'000UL}) {
    for (const LogConfig& config : {kJson, kConsole}) {
      const auto lines = LinesOf(config, [&] {
        const log::Context context = Somebody();
        const log::Scope scope{&context};
        log::Info("long", {{"value", std::string(bytes, 'x')}, {"after", 1}});
      });
      REQUIRE(lines.size() == 1);
      CHECK(lines[0].size() < 16 * 1'024);
      CHECK(lines[0].find(Somebody().request_id) != std::string::npos);
      CHECK(lines[0].find(std::string(16, 'b')) != std::string::npos);
      if (config.format == LogFormat::kJson) CHECK(nlohmann::json::accept(lines[0]));
    }
  }
}

TEST_CASE("a field without a value is left out", "[log]") {
  for (const LogConfig& config : {kJson, kConsole}) {
    const auto lines = LinesOf(config, [] {
      log::Info("line",
                {{"absent", std::optional<std::string>{}}, {"present", std::optional<std::string>{"x"}}});
    });
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].find("absent") == std::string::npos);
    CHECK(lines[0].find("present") != std::string::npos);
  }
}

TEST_CASE("in the journal each line begins with its priority, whatever the format", "[log]") {
  for (const LogConfig& config : {kJson, kConsole}) {
    const TemporaryFile file;
    {
      const JournalIs journal{file, 0};
      const StderrIs redirected{file.fd};
      log::Start(config);
      log::Debug("line");
      log::Info("line");
      log::Warn("line");
      log::Error("line", {{"text", "\n<0>hostile"}});
      log::Stop();
    }
    const auto lines = file.Lines();
    REQUIRE(lines.size() == 4);
    const std::string_view starts[] = {"<7>", "<6>", "<4>", "<3>"};
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(lines[i].starts_with(starts[i]));
      if (config.format == LogFormat::kJson) CHECK(nlohmann::json::accept(lines[i].substr(3)));
    }
  }
}

TEST_CASE("a stderr that is not the journal has no priorities, though the journal is named", "[log]") {
  const TemporaryFile file;
  {
    const JournalIs another{file, 1};
    const StderrIs redirected{file.fd};
    log::Start(kConsole);
    log::Info("line");
    log::Stop();
  }
  REQUIRE(file.Lines().size() == 1);
  CHECK_FALSE(file.Lines()[0].starts_with("<"));
}

TEST_CASE("how many lines were dropped is told once there is room again, each once", "[log]") {
  SlowReader reader;
  log::Start({.level = LogLevel::kInfo, .format = LogFormat::kJson, .queue_max = 16});
  const std::uint64_t before = log::Dropped();
  const std::string kilobyte(1'024, 'x');
  for (int i = 0; i < 1'000; ++i) log::Info("line", {{"text", kilobyte}});
  CHECK(log::Dropped() - before > 800);
  // The first of them may have been told of at once; then the rest comes a second later, with another line.
  std::uint64_t later = 0;
  test::Await([&] {
    reader.Read();
    log::Info("later");
    ++later;
    return reader.told().dropped > 800;
  });
  log::Stop();
  reader.Read();
  const std::uint64_t dropped = log::Dropped() - before;
  CHECK(reader.told().dropped == dropped);
  CHECK(reader.told().others == 1'000 + later - dropped);
}

TEST_CASE("dropped lines are told of at most once a second, and at the end in any case", "[log]") {
  const auto start = std::chrono::steady_clock::now();
  SlowReader reader;
  log::Start({.level = LogLevel::kInfo, .format = LogFormat::kJson, .queue_max = 16});
  const std::uint64_t before = log::Dropped();
  const std::string kilobyte(1'024, 'x');
  constexpr std::uint64_t kBursts = 10;
  for (std::uint64_t burst = 1; burst <= kBursts; ++burst) {
    for (int i = 0; i < 200; ++i) log::Info("line", {{"text", kilobyte}});
    // All of it is out, and what comes after finds room.
    test::Await([&] {
      reader.Read();
      return reader.told().others + (log::Dropped() - before) == burst * 200;
    });
  }
  log::Stop();
  reader.Read();
  CHECK(log::Dropped() - before > kBursts * 50);
  CHECK(reader.told().dropped == log::Dropped() - before);
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start);
  CHECK(reader.told().times <= seconds.count() + 3);
  CHECK(reader.told().times < static_cast<int>(kBursts));
}

TEST_CASE("lines that come quickly are written together, once a millisecond", "[log]") {
  using std::chrono::steady_clock;
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);  // what is written stays apart
  std::array<char, 8'192> text{};
  std::int64_t writes = 0;
  std::int64_t lines = 0;
  const auto read = [&] {
    for (ssize_t size = 0; (size = ::recv(ends[0], text.data(), text.size(), MSG_DONTWAIT)) > 0; ++writes)
      lines += std::count(text.begin(), text.begin() + size, '\n');
  };
  const auto start = steady_clock::now();
  {
    const StderrIs redirected{ends[1]};
    log::Start(kJson);
    // Each line finds the writer with nothing else to do: the one before it is old.
    for (int i = 0; i < 1'000; ++i) {
      log::Info("line");
      const auto begin = steady_clock::now();
      while (steady_clock::now() - begin < std::chrono::microseconds{50}) read();
    }
    log::Stop();
  }
  read();
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - start).count();
  CHECK(lines == 1'000);
  CHECK(writes <= took + 1 + 1'000 * 100 / 4'096 + 1);  // a write is at most 4,096 bytes
  ::close(ends[0]);
  ::close(ends[1]);
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
