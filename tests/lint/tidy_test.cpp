// The rules of this house, checked on every file of the repository.  Each failure
// names the file, the line and the remedy.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLineColumnsMax = 110;
constexpr std::size_t kFunctionLinesMax = 70;

struct SourceFile {
  std::string path;  // relative to the repository, e.g. "core/db/pg.cpp"
  std::vector<std::string> lines;
};

std::vector<std::string> ReadLines(const fs::path& path) {
  std::ifstream in{path};
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool IsCode(const fs::path& path) {
  return path.extension() == ".cpp" || path.extension() == ".h";
}

const std::vector<SourceFile>& CodeFiles() {
  static const std::vector<SourceFile> files = [] {
    std::vector<SourceFile> all;
    for (const char* top : {"cmd", "core", "daemon", "tests"}) {
      for (const auto& entry : fs::recursive_directory_iterator{fs::path{GATHERING_SOURCE_DIR} / top}) {
        if (!entry.is_regular_file() || !IsCode(entry.path())) continue;
        all.push_back({fs::relative(entry.path(), GATHERING_SOURCE_DIR).string(), ReadLines(entry.path())});
      }
    }
    return all;
  }();
  return files;
}

bool In(const SourceFile& file, std::string_view folder) {
  return file.path.starts_with(folder);
}

// What an #include line names, without its quotes or brackets; empty for other lines.
std::string Included(const std::string& line) {
  if (!line.starts_with("#include ")) return {};
  const auto begin = line.find_first_of("<\"") + 1;
  const auto end = line.find_last_of(">\"");
  return end > begin ? line.substr(begin, end - begin) : std::string{};
}

// The line without text literals and comments, so that words in them do not count.
std::string CodeOf(const std::string& line) {
  std::string code;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quoted) {
      if (line[i] == '\\') {
        ++i;
      } else if (line[i] == '"') {
        quoted = false;
      }
      continue;
    }
    if (line[i] == '"') {
      quoted = true;
    } else if (line.compare(i, 2, "//") == 0) {
      break;
    } else {
      code.push_back(line[i]);
    }
  }
  return code;
}

std::string Where(const SourceFile& file, std::size_t index) {
  return file.path + ":" + std::to_string(index + 1);
}

// Runs `judge(file, index, line) -> remedy` over every line and reports what it says.
template <class F>
void ForEachLine(F&& judge) {
  std::size_t lines = 0;
  for (const SourceFile& file : CodeFiles()) {
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      ++lines;
      const std::string remedy = judge(file, i, file.lines[i]);
      if (!remedy.empty()) FAIL_CHECK(Where(file, i) << ": " << remedy);
    }
  }
  REQUIRE(lines > 1000);  // the walk really found the sources
}

struct Ban {
  std::string_view word;
  std::string_view remedy;
  std::vector<std::string_view> allowed_in;  // path prefixes
};

const std::vector<Ban>& Bans() {
  static const std::vector<Ban> bans = {
      {"std::stoi", "use std::from_chars", {}},
      {"std::stol", "use std::from_chars", {}},
      {"std::stod", "use std::from_chars", {}},
      {"atoi(", "use std::from_chars", {}},
      {"strtol(", "use std::from_chars", {}},
      {"std::regex", "recursive on its input: write a parser", {}},
      {".detach()", "use std::jthread and join it", {}},
      {"steady_clock::now", "take a Clock", {"core/base/clock.cpp", "tests/"}},
      {"system_clock::now", "take a Clock", {"core/base/clock.cpp", "tests/"}},
      {"sleep_for", "wait for the event with a deadline", {}},
      {"usleep(", "wait for the event with a deadline", {}},
      {"std::cout", "write through cmd/terminal.h", {"tests/", "core/embed/"}},
      {"std::cerr", "use core/base/log.h", {"tests/", "core/embed/", "cmd/"}},
      {"using namespace std;", "name what you use", {}},
      {"reinterpret_cast<char", "use std::as_bytes or std::bit_cast", {"tests/fuzz/"}},
      {"volatile ", "use std::atomic", {}},
  };
  return bans;
}

bool Allowed(const Ban& ban, const SourceFile& file) {
  return std::any_of(ban.allowed_in.begin(), ban.allowed_in.end(),
                     [&](std::string_view prefix) { return file.path.starts_with(prefix); });
}

std::string WholeFile(const fs::path& path) {
  std::ifstream in{path};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("includes point from cmd to daemon to core and never back") {
  ForEachLine([](const SourceFile& file, std::size_t, const std::string& line) -> std::string {
    const std::string name = Included(line);
    if (In(file, "core/") && (name.starts_with("daemon/") || name.starts_with("cmd/"))) {
      return "core knows neither the daemon nor the command line";
    }
    if (In(file, "daemon/") && name.starts_with("cmd/")) return "the daemon does not know the command line";
    if (!In(file, "tests/") && name.starts_with("tests/")) return "only tests include tests";
    if (name.find("../") != std::string::npos) return "name files from the root";
    return {};
  });
}

TEST_CASE("each library is named in the one place that owns it") {
  struct Owner {
    std::string_view header;
    std::string_view owner;
    std::string_view other = {};  // who may name it as well
  };
  static constexpr Owner kOwners[] = {
      {"pqxx/", "core/db/pg"},
      {"libpq-fe.h", "core/db/pg"},
      {"httplib.h", "daemon/http/engine.cpp", "cmd/daemon_client.cpp"},
      {"toml++/", "core/config/"},
      {"hiredis/", "core/limits/redis_link.cpp"},
      {"CLI/", "cmd/"},
      {"spdlog/", "core/base/log.cpp"},
      {"argon2.h", "core/auth/"},
      {"crypt.h", "core/auth/"},
      {"boost/context", "daemon/loop/"},
  };
  ForEachLine([](const SourceFile& file, std::size_t, const std::string& line) -> std::string {
    const std::string name = Included(line);
    for (const Owner& owner : kOwners) {
      const bool owned = In(file, owner.owner) || (!owner.other.empty() && In(file, owner.other));
      if (name.starts_with(owner.header) && !owned && !In(file, "tests/")) {
        return "only " + std::string{owner.owner} + " includes " + std::string{owner.header};
      }
    }
    return {};
  });
}

TEST_CASE("nothing banned is used") {
  ForEachLine([](const SourceFile& file, std::size_t, const std::string& line) -> std::string {
    const std::string code = CodeOf(line);
    for (const Ban& ban : Bans()) {
      if (code.find(ban.word) != std::string::npos && !Allowed(ban, file)) {
        return std::string{ban.word} + ": " + std::string{ban.remedy};
      }
    }
    return {};
  });
}

TEST_CASE("handlers never touch what blocks a loop") {
  ForEachLine([](const SourceFile& file, std::size_t, const std::string& line) -> std::string {
    if (!In(file, "daemon/api/")) return {};
    const std::string code = CodeOf(line);
    for (const char* word :
         {"std::ifstream", "fopen(", "::open(", "popen(", "system(", "std::mutex", ".Stop()"}) {
      if (code.find(word) != std::string::npos) return std::string{word} + " blocks: use loop::RunOn";
    }
    return {};
  });
}

TEST_CASE("lines fit the page") {
  ForEachLine([](const SourceFile&, std::size_t, const std::string& line) -> std::string {
    if (line.find('\t') != std::string::npos) return "use spaces";
    if (!line.empty() && line.back() == ' ') return "ends in a space";
    std::size_t columns = 0;
    for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
    return columns > kLineColumnsMax ? "over 110 columns" : "";
  });
}

TEST_CASE("functions fit the eye") {
  for (const SourceFile& file : CodeFiles()) {
    if (In(file, "tests/")) continue;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      const bool opens = !line.empty() && line.back() == '{' && line.find('(') != std::string::npos &&
                         line.front() != ' ' && line.front() != '}' && !line.starts_with("namespace");
      if (opens) begin = i;
      if (line == "}" && begin != 0) {
        if (i - begin > kFunctionLinesMax)
          FAIL_CHECK(Where(file, begin) << ": a function of " << i - begin << " lines");
        begin = 0;
      }
    }
  }
}

TEST_CASE("headers begin with pragma once and say what they are") {
  for (const SourceFile& file : CodeFiles()) {
    if (!file.path.ends_with(".h") || file.path.ends_with("_inl.h") || file.path.ends_with("pch.h")) continue;
    INFO(file.path);
    REQUIRE(file.lines.size() > 2);
    CHECK(file.lines[0] == "#pragma once");
    CHECK(file.lines[1].starts_with("//"));
  }
}

TEST_CASE("nothing is left for later") {
  ForEachLine([](const SourceFile& file, std::size_t, const std::string& line) -> std::string {
    if (file.path == "tests/lint/tidy_test.cpp") return {};
    for (const char* mark : {"TODO", "FIXME", "HACK"}) {
      if (line.find(mark) != std::string::npos) return std::string{mark} + ": do it or delete it";
    }
    return {};
  });
}

TEST_CASE("every source file is built") {
  std::string lists;
  for (const char* list : {"CMakeLists.txt", "core/sources.cmake", "daemon/sources.cmake",
                           "cmd/sources.cmake", "tests/CMakeLists.txt"}) {
    lists += WholeFile(fs::path{GATHERING_SOURCE_DIR} / list);
  }
  for (const SourceFile& file : CodeFiles()) {
    if (!file.path.ends_with(".cpp")) continue;
    const std::string name = In(file, "tests/") ? file.path.substr(6) : file.path;
    if (lists.find(name) == std::string::npos) FAIL_CHECK(file.path << " is in no target");
  }
}

TEST_CASE("each document has one title") {
  for (const auto& entry : fs::recursive_directory_iterator{GATHERING_SOURCE_DIR}) {
    const std::string path = fs::relative(entry.path(), GATHERING_SOURCE_DIR).string();
    if (entry.path().extension() != ".md" || path.starts_with("build/")) continue;
    std::size_t titles = 0;
    bool fenced = false;
    for (const std::string& line : ReadLines(entry.path())) {
      if (line.starts_with("```")) fenced = !fenced;
      if (!fenced && line.starts_with("# ")) ++titles;
    }
    INFO(path);
    CHECK(titles == 1);
  }
}

TEST_CASE("the top level holds what it should and nothing else") {
  const std::set<std::string> expected = {"ARCHITECTURE.md",
                                          "CHANGELOG.md",
                                          "CMakeLists.txt",
                                          "CMakePresets.json",
                                          "CONTRIBUTING.md",
                                          "LICENSE",
                                          "README.md",
                                          "cmd",
                                          "completions",
                                          "core",
                                          "daemon",
                                          "examples",
                                          "man",
                                          "tests"};
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator{GATHERING_SOURCE_DIR}) {
    const std::string name = entry.path().filename().string();
    if (name.front() != '.' && name != "build") found.insert(name);
  }
  CHECK(found == expected);
}
