#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "tests/support/command_tree.h"
#include "tests/support/json.h"
#include "tests/support/process.h"

namespace gathering::test {
namespace {

namespace fs = std::filesystem;

const std::string kSecret = "hush-hush-hush-hush-hush-hush-hush";

class Directory {
 public:
  Directory() {
    std::string pattern = (fs::temp_directory_path() / ("gathering-cli-" + std::string(6, 'X'))).string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Directory() { fs::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = path_ + "/" + name;
    std::ofstream{path} << text;
    ::chmod(path.c_str(), 0600);
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Without the machine's own configuration file.
ProcessResult Gathering(std::vector<std::string> arguments,
                        std::map<std::string, std::string> environment = {},
                        Stdout output = Stdout::kCaptured) {
  environment.try_emplace("GATHERING_CONFIG", "/dev/null");
  return Run(GATHERING_BINARY, {.arguments = std::move(arguments),
                                .environment = std::move(environment),
                                .input = {},
                                .output = output,
                                .deadline = std::chrono::seconds{60}});
}

std::vector<std::string> Words(const std::string& text) {
  std::istringstream in{text};
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::size_t LineCount(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// `emit` into a fresh directory gives exactly the files that are checked in.
void CheckEmitted(const std::string& what, const fs::path& checked_in, std::size_t files_min) {
  const Directory fresh;
  const auto result = Gathering({"emit", what, fresh.path()});
  REQUIRE(result.code == 0);
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator{fresh.path()}) {
    const std::string name = entry.path().filename().string();
    INFO(name << ": run 'gathering emit " << what << "' again");
    CHECK(ReadFile(entry.path()) == ReadFile(checked_in / name));
    ++files;
  }
  CHECK(files >= files_min);
}

void CheckFits(const std::string& text) {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK(line.size() <= 80);
    CHECK_FALSE(line.ends_with(' '));
  }
}

}  // namespace

TEST_CASE("wrong use ends with 2 and one line that says what to do", "[cli]") {
  struct Wrong {
    std::string arguments;
    std::string says;
  };
  const std::vector<Wrong> wrongs = {
      {"srve", "unknown command 'srve'; did you mean 'serve'?"},
      {"migrte status", "unknown command 'migrte'; did you mean 'migrate'?"},
      {"deploy", "unknown command 'deploy'; see 'gathering --help'"},
      {"serve --lisen 127.0.0.1:0", "unknown option '--lisen'; did you mean '--listen'?"},
      {"serve --listn=127.0.0.1:0", "unknown option '--listn'; did you mean '--listen'?"},
      {"serve --frobnicate", "unknown option '--frobnicate'; see 'gathering serve --help'"},
      {"serve -x", "unknown option '-x'; see 'gathering serve --help'"},
      {"serve --listen", "--listen needs a value; see 'gathering serve --help'"},
      {"serve now", "unexpected argument 'now'; see 'gathering serve --help'"},
      {"serve migrate", "unexpected argument 'migrate'; see 'gathering serve --help'"},
      {"config prnt", "unknown command 'prnt'; did you mean 'print'?"},
      {"config print --show-orgin", "unknown option '--show-orgin'; did you mean '--show-origin'?"},
      {"config print --output jsn", "--output: 'jsn' is not one of text, json; did you mean 'json'?"},
      {"completion", "SHELL is required; see 'gathering completion --help'"},
      {"completion zhs", "SHELL: 'zhs' is not one of bash, zsh, fish; did you mean 'zsh'?"},
      {"help srve", "no help about 'srve'; did you mean 'serve'?"},
      {"help confg", "no help about 'confg'; did you mean 'config'?"},
      {"help migrate stauts", "no help about 'migrate stauts'; did you mean 'status'?"},
      {"help serve now", "no help about 'serve now'; see 'gathering help'"},
      {"version -q -v", "--quiet and --verbose exclude each other; give one of them"},
  };
  for (const Wrong& wrong : wrongs) {
    INFO(wrong.arguments);
    const auto result = Gathering(Words(wrong.arguments));
    CHECK(result.code == 2);
    CHECK(result.err == "gathering: " + wrong.says + "\n");
    CHECK(result.out.empty());
  }
}

TEST_CASE("hostile arguments do not reach the terminal as they are", "[cli]") {
  const auto result = Gathering({"\x1b[31mred\nline"});
  CHECK(result.code == 2);
  CHECK(result.err == "gathering: unknown command '\\x1b[31mred\\x0aline'; see 'gathering --help'\n");
}

TEST_CASE("no command at all shows on stderr how to go on", "[cli]") {
  for (const char* given : {"", "config", "migrate", "--quiet"}) {
    INFO(given);
    const auto result = Gathering(Words(given));
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(result.err.starts_with("Usage: gathering"));
    CHECK(result.err.find("Commands:\n") != std::string::npos);
  }
}

TEST_CASE("help is data, leads with examples, and fits 80 columns, at every level", "[cli]") {
  REQUIRE(CommandTree().size() >= 20);
  for (const CommandHelp& help : CommandTree()) {
    const std::string command = fmt::format("{}", fmt::join(help.words, " "));
    INFO("gathering " << command);
    CheckFits(help.text);
    if (help.words.size() < 2) CHECK(help.text.find("\nExamples:\n") < help.text.find("\nUsage:"));
    const auto asked = Gathering(Words("help " + command));
    CHECK(asked.code == 0);
    CHECK(asked.err.empty());
    if (command != "config") CHECK(asked.out == help.text);  // a topic has that name
    if (help.words.empty()) continue;
    // A letter too many is told what was meant.
    const std::string mistyped = help.words.back() + "x";
    std::vector<std::string> words{help.words.begin(), help.words.end() - 1};
    words.push_back(mistyped);
    const auto refused = Gathering(words);
    CHECK(refused.code == 2);
    CHECK(refused.err ==
          fmt::format("gathering: unknown command '{}'; did you mean '{}'?\n", mistyped, help.words.back()));
  }
  for (const char* topic : {"exit-codes", "environment", "config"}) {
    INFO(topic);
    const auto asked = Gathering({"help", topic});
    CHECK(asked.code == 0);
    CheckFits(asked.out);
  }
  CHECK(LineCount(Gathering({"--help"}).out) <= 32);
  CHECK(Gathering({"migrate", "status", "-h"}).out == Gathering({"help", "migrate", "status"}).out);
  CHECK(Gathering({"--help"}).out.find("emit") == std::string::npos);
}

TEST_CASE("the exit codes are explained", "[cli]") {
  const std::string text = Gathering({"help", "exit-codes"}).out;
  for (const char* code : {"    0  ", "    1  ", "    2  ", "    3  ", "    4  ", "    5  ", "   69  ",
                           "   75  ", "   78  ", "  130  "}) {
    CHECK(text.find(std::string{"\n"} + code) != std::string::npos);
  }
}

TEST_CASE("the version is one line, or JSON with the libraries", "[cli]") {
  const auto line = Gathering({"--version"});
  CHECK(line.code == 0);
  CHECK(line.out.starts_with("gathering "));
  CHECK(LineCount(line.out) == 1);
  CHECK(Gathering({"version"}).out == line.out);
  const auto json = nlohmann::json::parse(Gathering({"version", "--output", "json"}).out);
  CHECK(json["schema"] == 1);
  CHECK("gathering " + json["version"].get<std::string>() + "\n" == line.out);
  CHECK(json["compiler"].is_string());
  CHECK(json["libraries"].size() >= 4);
}

TEST_CASE("a reader of stdout who left is no failure, a full disk is", "[cli]") {
  for (const char* given : {"--help", "help environment", "config print", "completion bash"}) {
    INFO(given);
    const auto gone = Gathering(Words(given), {{"HOME", "/root"}}, Stdout::kReaderGone);
    CHECK(gone.code == 0);
    CHECK(gone.err.empty());
    CHECK(Gathering(Words(given), {{"HOME", "/root"}}, Stdout::kClosed).code == 0);
    const auto full = Gathering(Words(given), {{"HOME", "/root"}}, Stdout::kFull);
    CHECK(full.code == 1);
    CHECK(full.err == "gathering: cannot write to standard output: No space left on device\n");
  }
}

TEST_CASE("a configuration that cannot be used ends with 78 and names every place", "[cli]") {
  const Directory directory;
  const std::string file = directory.Write("bad.toml", "[http]\nlisten = 3\nloosp = 1\n");
  for (const char* command : {"config print", "config validate", "serve", "migrate status"}) {
    INFO(command);
    auto arguments = Words(command);
    arguments.insert(arguments.end(), {"--config", file, "--log-level", "loud"});
    const auto result = Gathering(arguments);
    CHECK(result.code == 78);
    CHECK(result.out.empty());
    CHECK(result.err == "gathering: file " + file + ":2: http.listen must be a list of strings, not 3\n" +
                            "gathering: file " + file +
                            ":3: unknown key 'http.loosp'; did you mean 'http.loops'?\n" +
                            "gathering: flag --log-level: log.level must be one of debug, info, warning, "
                            "error, not \"loud\"\n");
  }
}

TEST_CASE("what config print shows has its origin", "[cli]") {
  const Directory directory;
  const std::string file = directory.Write("a.toml", "[http]\nloops = 2\ndrain_timeout = \"5s\"\n");
  const auto result =
      Gathering({"config", "print", "--show-origin", "--output", "json", "--config", file, "--data-dir",
                 "/srv/g", "--listen", "127.0.0.1:0", "--listen", "unix:/run/g.sock"},
                {{"CORS_ORIGINS", "https://a.example"}, {"GATHERING_HTTP_LOOPS", "3"}});
  REQUIRE(result.code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["schema"] == 1);
  CHECK(json["file"] == file);
  const auto expect = [&](const char* key, const nlohmann::json& value, const std::string& origin) {
    INFO(key);
    CHECK(json["keys"][key]["value"] == value);
    CHECK(json["keys"][key]["origin"] == origin);
  };
  expect("data_dir", "/srv/g", "flag --data-dir");
  expect("http.listen", {"127.0.0.1:0", "unix:/run/g.sock"}, "flag --listen");
  expect("http.loops", 3, "environment GATHERING_HTTP_LOOPS");
  expect("http.cors_origins", {"https://a.example"}, "environment CORS_ORIGINS");
  expect("http.drain_timeout", "5s", "file " + file + ":3");
  expect("log.level", "info", "default");
}

TEST_CASE("options of a command work before and after its subcommand", "[cli]") {
  const auto before = Gathering({"config", "--data-dir", "/srv/g", "print"});
  const auto after = Gathering({"config", "print", "--data-dir", "/srv/g"});
  CHECK(before.code == 0);
  CHECK(before.out == after.out);
  CHECK(before.out.find("data_dir = \"/srv/g\"\n") != std::string::npos);
}

TEST_CASE("what config print writes is a configuration file with the same meaning", "[cli]") {
  const Directory directory;
  const auto first = Gathering({"config", "print", "--data-dir", "/srv/g", "--log-level", "debug"});
  REQUIRE(first.code == 0);
  const std::string file = directory.Write("printed.toml", first.out);
  const auto second = Gathering({"config", "print", "--config", file});
  CHECK(second.code == 0);
  CHECK(second.out == first.out);
}

TEST_CASE("GATHERING_CONFIG names the file as --config does, and the flag wins", "[cli]") {
  const Directory directory;
  const std::string a = directory.Write("a.toml", "http.loops = 1\n");
  const std::string b = directory.Write("b.toml", "http.loops = 2\n");
  CHECK(Gathering({"config", "print"}, {{"GATHERING_CONFIG", a}}).out.find("http.loops = 1\n") !=
        std::string::npos);
  CHECK(
      Gathering({"config", "print", "--config", b}, {{"GATHERING_CONFIG", a}}).out.find("http.loops = 2\n") !=
      std::string::npos);
}

TEST_CASE("secrets are never printed", "[cli]") {
  const std::map<std::string, std::string> environment = {
      {"SECRET_KEY", kSecret},
      {"DATABASE_URL", "postgresql://ada:" + kSecret + "@db/x"},
      {"ADMIN_EMAIL", "ada@example.com"},
      {"ADMIN_PASSWORD_HASH", "$2b$05$abcdefghijklmnopqrstuuBKTK.qTk510AXsl7sY1owdL2ZgkpwSq"}};
  for (const char* given : {"config print", "config print --show-origin", "config print --output json",
                            "config validate", "config validate --output json", "-v config print"}) {
    INFO(given);
    const auto result = Gathering(Words(given), environment);
    CHECK(result.code == 0);
    CHECK((result.out + result.err).find(kSecret) == std::string::npos);
    CHECK((result.out + result.err).find("BKTK") == std::string::npos);
  }
  const std::string text = Gathering({"config", "print"}, environment).out;
  CHECK(text.find("auth.secret_key = \"[secret]\"\n") != std::string::npos);
  CHECK(text.find("database.url = \"postgresql://ada:[secret]@db/x\"\n") != std::string::npos);
  // Nor when they are refused.
  const std::string part = kSecret.substr(0, 20);
  const auto refused =
      Gathering({"config", "validate"}, {{"SECRET_KEY", part}, {"DATABASE_URL", "mysql://a:" + part + "@h"}});
  CHECK(refused.code == 78);
  CHECK(LineCount(refused.err) == 2);
  CHECK(refused.err.find(part) == std::string::npos);
}

TEST_CASE("no secret can be given as a flag", "[cli]") {
  for (const char* flag : {"--secret-key", "--admin-password-hash"}) {
    CHECK(Gathering({"serve", flag, kSecret}).code == 2);
    CHECK(Gathering({"config", "print", flag, kSecret}).err.find(kSecret) == std::string::npos);
  }
}

TEST_CASE("config validate says yes on stderr, or in JSON what is wrong", "[cli]") {
  const auto good = Gathering({"config", "validate"});
  CHECK(good.code == 0);
  CHECK(good.out.empty());
  CHECK(good.err == "gathering: the configuration is valid\n");
  CHECK(Gathering({"-q", "config", "validate"}).err.empty());
  const auto bad = Gathering({"config", "validate", "--output", "json", "--log-format", "xml"});
  CHECK(bad.code == 78);
  const auto json = nlohmann::json::parse(bad.out);
  CHECK(json["schema"] == 1);
  CHECK(json["valid"] == false);
  CHECK(json["problems"].size() == 1);
  const auto unshared = Gathering({"config", "validate"}, {{"DATABASE_URL", "postgresql://db/x"}});
  CHECK(unshared.code == 78);
  CHECK(unshared.err.find("auth.secret_key is not set") != std::string::npos);
}

TEST_CASE("warnings go to stderr and --quiet silences them", "[cli]") {
  const std::map<std::string, std::string> environment = {{"GATHERING_LOG_LEVLE", "debug"}};
  const auto loud = Gathering({"config", "print"}, environment);
  CHECK(loud.code == 0);
  CHECK(loud.err ==
        "gathering: warning: environment GATHERING_LOG_LEVLE: no such key; did you mean "
        "'GATHERING_LOG_LEVEL'?\n");
  const auto quiet = Gathering({"config", "print", "--quiet"}, environment);
  CHECK(quiet.err.empty());
  CHECK(quiet.out.find("log.level = \"error\"\n") != std::string::npos);
  CHECK(Gathering({"config", "print", "-v"}).out.find("log.level = \"debug\"\n") != std::string::npos);
}

TEST_CASE("without any environment the program still works", "[cli]") {
  CHECK(Run(GATHERING_BINARY, {.arguments = {"--help"}}).code == 0);
  const auto result = Gathering({"config", "print"});
  if (::geteuid() == 0) {
    CHECK(result.out.find("data_dir = \"/var/lib/gathering\"\n") != std::string::npos);
  } else {
    CHECK(result.code == 78);
    CHECK(result.err.find("give --data-dir") != std::string::npos);
  }
}

TEST_CASE("the checked-in completions are what the command table says", "[cli]") {
  CheckEmitted("completions", fs::path{GATHERING_SOURCE_DIR} / "completions", 3);
}

TEST_CASE("the checked-in manual pages are what the tables say", "[cli]") {
  CheckEmitted("man", fs::path{GATHERING_SOURCE_DIR} / "man", 5);
}

TEST_CASE("the checked-in example configuration names every key and is valid", "[cli]") {
  CheckEmitted("config", fs::path{GATHERING_SOURCE_DIR} / "examples", 1);
  // With every line in force it means the same as none.
  std::string everything;
  std::istringstream lines{ReadFile(fs::path{GATHERING_SOURCE_DIR} / "examples" / "gathering.toml")};
  for (std::string line; std::getline(lines, line);) {
    const bool companion = line.find("_file = ") != std::string::npos;
    if (line.starts_with('#') && !line.starts_with("# ") && !companion) everything += line.substr(1) + "\n";
  }
  const Directory directory;
  const auto with = Gathering({"config", "print", "--config", directory.Write("all.toml", everything)});
  const auto without = Gathering({"config", "print"});
  CHECK(with.code == without.code);
  CHECK(with.out == without.out);
  CHECK(LineCount(everything) == LineCount(without.out));
}

}  // namespace gathering::test
