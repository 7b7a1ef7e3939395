// The manual, tried: its pages are clean, its examples run, and what it and the other documents name is
// there.
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/support/command_tree.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text.h"

namespace gathering::test {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

const fs::path kSource{GATHERING_SOURCE_DIR};

std::string ReadFile(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::vector<fs::path> Pages() {
  std::vector<fs::path> pages;
  for (const auto& entry : fs::directory_iterator{kSource / "man"}) pages.push_back(entry.path());
  std::ranges::sort(pages);
  return pages;
}

// What a reader sees of roff text without fonts.
std::string Plain(std::string text) {
  for (const auto& [roff, plain] : std::vector<std::pair<std::string, std::string>>{{"\\fB", ""},
                                                                                    {"\\fI", ""},
                                                                                    {"\\fR", ""},
                                                                                    {"\\-", "-"},
                                                                                    {"\\(aq", "'"},
                                                                                    {"\\(ga", "`"},
                                                                                    {"\\(ti", "~"},
                                                                                    {"\\(ha", "^"},
                                                                                    {"\\&", ""},
                                                                                    {"\\e", "\\"}}) {
    text = Replaced(std::move(text), roff, plain);
  }
  return text;
}

// A terminal's text, where bold is a letter, a backspace and the letter again.
std::string WithoutOverstrike(const std::string& text) {
  std::string plain;
  for (const char c : text) {
    if (c == '\b') {
      plain.pop_back();
    } else {
      plain += c;
    }
  }
  return plain;
}

// The texts of a page that stand as typed: its examples.
Words Displays(const fs::path& page) {
  Words displays;
  bool inside = false;
  for (const std::string& line : LinesOf(ReadFile(page))) {
    if (line == ".EX") displays.emplace_back();
    if (line == ".EX" || line == ".EE") {
      inside = line == ".EX";
    } else if (inside) {
      displays.back() += Plain(line) + "\n";
    }
  }
  return displays;
}

// --- examples ----------------------------------------------------------------------------------------

// What an example names that is not here: it runs with `here` in its place.
struct StandIn {
  std::string typed;
  std::string here;
  std::string why;
};

struct UntilStopped {
  std::string command;
  std::string says;  // then it is stopped
  int signal;
  int code;
};
const std::vector<UntilStopped> kUntilStopped = {
    {"gathering serve", "\"msg\":\"listening\"", SIGTERM, 0},
    {"gathering cache-stats --watch", "hits/s", SIGINT, 130},
};

// What an example looks for may be so: then it ends with the code that its page has for that.
struct MayFind {
  std::string option;
  int code;
};
const std::vector<MayFind> kMayFind = {{"--fail-if", 3}, {"--check", 2}, {"doctor --strict", 1}};

// A machine as the manual's reader has it: a daemon with some events, files, a home, a service manager.
class Machine {
 public:
  Machine() : daemon_({.database_url = database_.url()}) {
    ::chmod(directory_.path().c_str(), 0711);  // the private PostgreSQL of root is somebody else's
    HttpClient admin = daemon_.Admin();
    for (const char* circle : {"core", "crew"}) {
      REQUIRE(admin.Post("/circles", {{"name", circle}}).status == 201);
    }
    Write("access.log", daemon_.Log());
    Write("token", daemon_.AdminToken() + "\n");
    Write("key", std::string(40, 'k') + "\n");
    Write("gathering.toml", ReadFile(kSource / "examples" / "gathering.toml"));
    Write("new.toml", "[rate_limits]\nread = \"10/minute\"\n");
    Write("bin/systemctl", "#!/bin/sh\necho \"$@\" > \"$HOME/systemctl-was-told\"\n");
    for (const char* kept_by_shells : {".zsh/completions", ".config/fish/completions"}) {
      fs::create_directories(directory_.path() + "/" + kept_by_shells);
    }
  }

  [[nodiscard]] std::vector<StandIn> StandIns() const {
    return {
        {"gathering bench-db\n", "gathering bench-db --clients 8\n", "it measures for minutes"},
        {"bench-db --output json", "bench-db --clients 8 --scenario mixed --output json", "so does this"},
        {"bench-db --compare", "bench-db --clients 8 --scenario mixed --compare", "and this"},
        {"gathering bench-db", "gathering bench-db --yes --members 2 --duration 100ms --warmup 0ms",
         "it asks first, and measures each result for seconds"},
        {"postgresql://app@db/gathering", "'" + database_.url() + "'", "no machine is named db"},
        {"http://10.0.0.7:8000", "http://" + daemon_.address(), "the daemon has a free port of loopback"},
        {"0.0.0.0:8000", "127.0.0.1:0", "tests listen on loopback only"},
        {"/run/gathering.sock", directory_.path() + "/gathering.sock", "only root may write to /run"},
    };
  }

  // In bash, as typed but for what stands in.
  [[nodiscard]] ProcessResult Type(std::string example, const UntilStopped* until) const {
    for (const StandIn& one : StandIns()) example = Replaced(std::move(example), one.typed, one.here);
    const bool serves = example.find("gathering serve") != std::string::npos;
    ProcessOptions options{.arguments = {"-o", "pipefail", "-c", example},
                           .environment = {{"HOME", directory_.path()},
                                           {"PATH", directory_.path() + "/bin:" +
                                                        fs::path{GATHERING_BINARY}.parent_path().string() +
                                                        ":/usr/local/bin:/usr/bin:/bin"},
                                           {"GATHERING_CONFIG", "/dev/null"}},
                           .directory = directory_.path(),
                           .deadline = std::chrono::seconds{60}};
    if (serves) {  // a second daemon, with an own data directory and database
      options.environment["GATHERING_DATA_DIR"] = directory_.path() + "/state";
      options.environment["GATHERING_HTTP_LISTEN"] = "127.0.0.1:0";
    } else {
      options.environment["GATHERING_DATA_DIR"] = daemon_.data_dir();
      options.environment["DATABASE_URL"] = database_.url();
      options.environment["SECRET_KEY"] = std::string(40, 'k');
    }
    if (until != nullptr) {
      options.stop_at = until->says;
      options.stop_signal = until->signal;
    }
    return Run("/bin/bash", options);
  }

 private:
  void Write(const std::string& name, const std::string& text) const {
    const fs::path path = fs::path{directory_.path()} / name;
    fs::create_directories(path.parent_path());
    std::ofstream{path} << text;
    ::chmod(path.c_str(), 0700);
  }

  FreshDatabase database_;
  RunningDaemon daemon_;
  TemporaryDirectory directory_;
};

// --- documents ---------------------------------------------------------------------------------------

// Shown because they are wrong.
const Words kWrongOnPurpose = {"sreve"};

// In no list: for who changes the program.
const Words kUnlisted = {"emit"};

// The code of a document: between fences, and in backticks.
Words CodeOf(const std::string& markdown) {
  Words code;
  std::string prose;
  bool fenced = false;
  for (const std::string& line : LinesOf(markdown)) {
    if (line.starts_with("```")) {
      fenced = !fenced;
    } else if (fenced) {
      code.push_back(line);
    } else {
      prose += line + "\n";
    }
  }
  bool inside = false;
  std::istringstream parts{prose};
  for (std::string part; std::getline(parts, part, '`'); inside = !inside) {
    if (inside) code.push_back(part);
  }
  return code;
}

bool IsWordByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
}

// The places in `text` where `word` begins and nothing longer does.
std::vector<std::size_t> PlacesOf(const std::string& text, const std::string& word) {
  std::vector<std::size_t> places;
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) {
    if (at == 0 || !IsWordByte(text[at - 1])) places.push_back(at);
  }
  return places;
}

// Each command line of the program in `code`, its words behind "gathering".
std::vector<Words> CallsIn(const std::string& code) {
  const std::string joined = Replaced(code, "\\\n", " ");
  std::vector<Words> calls;
  for (const std::size_t at : PlacesOf(joined, "gathering ")) {
    const std::string before = joined.substr(0, at);
    const bool path = before.ends_with("bin/") || before.ends_with("release/") || before.ends_with("dev/");
    if (before.ends_with('/') && !path) continue;  // of a URL
    if (before.ends_with(" -u ") || before.ends_with(" -g "))
      continue;  // the unit, or the group, of that name
    const std::size_t begin = at + std::string_view{"gathering "}.size();
    std::istringstream words{joined.substr(begin, joined.find_first_of("|;&><)#`\n", begin) - begin)};
    Words call{std::istream_iterator<std::string>{words}, {}};
    // Else nothing follows, or it is the user of that name in sysusers.d.
    if (!call.empty() && call.front() != "-") calls.push_back(std::move(call));
  }
  return calls;
}

// "--config" and the like, wherever it stands.
Words FlagsIn(const std::string& text) {
  Words flags;
  for (const std::size_t at : PlacesOf(text, "--")) {
    std::size_t end = at;
    while (end < text.size() && IsWordByte(text[end])) ++end;
    if (end > at + 2) flags.push_back(text.substr(at, end - at));
  }
  return flags;
}

// What is wrong with a call, or nothing.
std::string Problem(const Words& call) {
  const CommandHelp& root = CommandTree().front();
  const auto first =
      std::ranges::find_if(call, [](const std::string& word) { return !word.starts_with('-'); });
  if (first == call.end() || std::ranges::count(kWrongOnPurpose, *first) > 0) return {};
  if (std::ranges::count(kUnlisted, *first) > 0) return {};
  if (std::ranges::count(root.commands, *first) == 0) return "there is no command " + *first;
  const Words path{first, call.end()};
  const CommandHelp& command = FindCommand(path);
  const bool takes_a_command = !command.commands.empty() && command.words.size() < call.size() &&
                               call.end() - first > static_cast<std::ptrdiff_t>(command.words.size());
  if (takes_a_command && !first[static_cast<std::ptrdiff_t>(command.words.size())].starts_with('-')) {
    return "there is no command below " + *first + " named " +
           first[static_cast<std::ptrdiff_t>(command.words.size())];
  }
  for (const std::string& word : call) {
    const std::string option = word.substr(0, word.find('='));
    if (option.starts_with("--") && option.size() > 2 && !command.options.contains(option)) {
      return *first + " has no option " + option;
    }
  }
  return {};
}

}  // namespace

TEST_CASE("every command has a page, and mandoc finds nothing to complain of", "[manual]") {
  for (const std::string& command : CommandTree().front().commands) {
    INFO(command);
    CHECK(fs::exists(kSource / "man" / ("gathering-" + command + ".1")));
  }
  const auto pages = Pages();
  REQUIRE(pages.size() >= CommandTree().front().commands.size() + 2);
  Words arguments = {"-T", "lint"};
  for (const fs::path& page : pages) arguments.push_back(page.string());
  const ProcessResult lint = Run("/usr/bin/mandoc", {.arguments = arguments});
  CHECK(lint.code == 0);
  CHECK(lint.out + lint.err == "");
}

TEST_CASE("pages read well on a terminal of 80 columns", "[manual]") {
  for (const fs::path& page : Pages()) {
    INFO(page.filename());
    const ProcessResult shown =
        Run("/usr/bin/mandoc", {.arguments = {"-T", "ascii", "-O", "width=80", page.string()}});
    REQUIRE(shown.code == 0);
    const std::string text = WithoutOverstrike(shown.out);
    for (const std::string& line : LinesOf(text)) CHECK(line.size() <= 80);
    std::size_t at = 0;
    for (const char* section : {"NAME", "DESCRIPTION", "EXAMPLES", "SEE ALSO"}) {
      INFO(section);
      at = text.find("\n" + std::string{section} + "\n", at);
      REQUIRE(at != std::string::npos);
    }
    if (page.extension() == ".1") {
      CHECK(text.find("\nSYNOPSIS\n") != std::string::npos);
      CHECK(text.find("\nOPTIONS\n") != std::string::npos);
      CHECK(text.find("\nEXIT STATUS\n") != std::string::npos);
    }
  }
}

TEST_CASE("every example of the manual does what it says, as typed", "[manual]") {
  const Machine machine;
  std::set<std::string> examples;  // some stand on two pages
  for (const fs::path& page : Pages()) {
    if (page.extension() != ".1") continue;
    for (const std::string& example : Displays(page)) {
      if (!examples.insert(example).second) continue;
      const auto until = std::ranges::find_if(kUntilStopped, [&](const UntilStopped& one) {
        return example.find(one.command) != std::string::npos ||
               Replaced(example, "\\\n  ", "").find(one.command) != std::string::npos;
      });
      const bool stops = until != kUntilStopped.end();
      const ProcessResult result = machine.Type(example, stops ? &*until : nullptr);
      INFO(page.filename() << ": " << example << result.err);
      const bool found = std::ranges::any_of(kMayFind, [&](const MayFind& one) {
        return example.find(one.option) != std::string::npos && result.code == one.code;
      });
      if (!found) CHECK(result.code == (stops ? until->code : 0));
    }
  }
  CHECK(examples.size() >= 25);
}

TEST_CASE("the example of gathering.toml(5) is a valid configuration", "[manual]") {
  const Words displays = Displays(kSource / "man" / "gathering.toml.5");
  REQUIRE(displays.size() == 1);
  const TemporaryDirectory directory;
  const auto write = [&](const std::string& name, const std::string& text) {
    const std::string path = directory.path() + "/" + name;
    std::ofstream{path} << text;
    ::chmod(path.c_str(), 0600);
  };
  write("database_url", "postgresql://app@db/gathering\n");
  write("secret_key", std::string(40, 'k') + "\n");
  write("gathering.toml", Replaced(displays.front(), "/etc/gathering", directory.path()));
  const ProcessResult result =
      Run(GATHERING_BINARY,
          {.arguments = {"config", "validate", "--config", directory.path() + "/gathering.toml"},
           .environment = {{"HOME", directory.path()}}});
  CHECK(result.err == "gathering: the configuration is valid\n");
  CHECK(result.code == 0);
}

TEST_CASE("documents name only commands and flags that exist", "[manual]") {
  std::size_t calls = 0;
  const auto check = [&](const fs::path& file, const std::string& code) {
    for (const Words& call : CallsIn(code)) {
      INFO(file << ": gathering " << call.front());
      CHECK(Problem(call) == "");
      ++calls;
    }
  };
  for (const char* document : {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"}) {
    for (const std::string& code : CodeOf(ReadFile(kSource / document))) {
      check(document, code);
      const std::string name = code.substr(0, code.find_first_of(" ="));
      INFO(document << ": " << code);
      if (name.starts_with("--") && name.size() > 2) CHECK(IsOption(name));
    }
  }
  for (const auto& entry : fs::recursive_directory_iterator{kSource / "examples"}) {
    if (!entry.is_regular_file() || entry.path().extension() == ".cmake") continue;  // no shell reads that
    for (const std::string& line : LinesOf(Replaced(ReadFile(entry.path()), "\\\n", " "))) {
      const std::string code = line.substr(0, line.find('#'));
      check(entry.path().filename(), code);
    }
  }
  for (const fs::path& page : Pages()) {
    for (const std::string& display : Displays(page)) check(page.filename(), display);
    for (const std::string& flag : FlagsIn(Plain(ReadFile(page)))) {
      INFO(page.filename() << ": " << flag);
      CHECK(IsOption(flag));
    }
  }
  CHECK(calls >= 50);
}

}  // namespace gathering::test
