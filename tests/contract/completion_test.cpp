// What bash, zsh and fish offer at a TAB, asked of the shells themselves, with the completions that are
// installed.
//
// bash and zsh are interactive: each line of the table is typed, a key inserts all that is offered into it,
// and Enter calls a function named gathering that writes its words down.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "tests/support/command_tree.h"
#include "tests/support/json.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

struct Case {
  std::string typed;  // up to the cursor
  Words offered;      // sorted
};

const Words kLevels = {"debug", "error", "info", "warning"};
const Words kFiles = {"access.log", "limits.toml", "logs"};

// In a directory with the files access.log and limits.toml and the directory logs.
std::vector<Case> Cases() {
  Words commands = CommandTree().front().commands;
  std::ranges::sort(commands);
  return {
      // commands and theirs
      {"gathering ", commands},
      {"gathering serv", {"serve"}},
      {"gathering -q serv", {"serve"}},
      {"gathering nothing-like-it", {}},
      {"gathering migrate ", {"baseline", "check", "down", "redo", "status", "to", "up", "verify"}},
      {"gathering migrate st", {"status"}},
      {"gathering config ", {"print", "try-limits", "validate"}},
      {"gathering config --output json p", {"print"}},
      {"gathering config --data-dir print p", {"print"}},
      {"gathering config --output=json p", {"print"}},
      // flags: a command's own, its parent's, the root's
      {"gathering --ver", {"--verbose", "--version"}},
      {"gathering serve --li", {"--listen"}},
      {"gathering serve --log-", {"--log-format", "--log-level"}},
      {"gathering config print --show", {"--show-origin"}},
      {"gathering config print --outp", {"--output"}},
      {"gathering migrate --wait 5s up --dry", {"--dry-run"}},
      {"gathering migrate --wait 5s up --qui", {"--quiet"}},
      {"gathering serve --dry", {}},
      {"gathering cache-stats --watch --cou", {"--count"}},
      // choices
      {"gathering serve --log-level ", kLevels},
      {"gathering serve --log-level w", {"warning"}},
      {"gathering serve --log-level=", kLevels},
      {"gathering serve --log-level=w", {"warning"}},
      {"gathering config print --output ", {"json", "text"}},
      {"gathering config --output=j", {"json"}},
      {"gathering cache-stats --output p", {"prometheus"}},
      {"gathering completion ", {"bash", "fish", "zsh"}},
      {"gathering completion f", {"fish"}},
      {"gathering help exit", {"exit-codes"}},
      // what there is of something
      {"gathering cache-stats --cache to", {"tokens"}},
      {"gathering cache-stats --cache=p", {"personas", "providers"}},
      {"gathering bench-db --scenario point-read/pi", {"point-read/pipeline"}},
      {"gathering replay-events --type circle.member.", {"circle.member.added", "circle.member.removed"}},
      // files and directories
      {"gathering serve --config ", kFiles},
      {"gathering serve --config li", {"limits.toml"}},
      {"gathering serve --config=li", {"limits.toml"}},
      {"gathering serve --data-dir ", {"logs"}},
      {"gathering serve --data-dir=l", {"logs"}},
      {"gathering config try-limits ", kFiles},
      {"gathering config try-limits --config limits.toml acc", {"access.log"}},
      {"gathering replay-events --input acc", {"access.log"}},
      // nothing where a value is free, and nothing twice
      {"gathering migrate to l", {}},
      {"gathering cache-stats --count ", {}},
      {"gathering cache-stats --count l", {}},
      {"gathering serve --listen ", {}},
      {"gathering serve --listen=l", {}},
      {"gathering completion bash z", {}},
      // no option and no command after --
      {"gathering serve -- --l", {}},
      {"gathering serve -- ", {}},
      {"gathering -- ser", {}},
      {"gathering config -- p", {}},
  };
}

std::string LastWord(const std::string& typed) {
  return typed.substr(typed.rfind(' ') + 1);
}

// As the table has it: sorted, of --flag=value the value, no slash behind a directory.
Words Normalized(Words words) {
  for (std::string& word : words) {
    if (word.starts_with("--") && word.find('=') != std::string::npos) word.erase(0, word.find('=') + 1);
    if (word.ends_with('/')) word.pop_back();
  }
  std::ranges::sort(words);
  return words;
}

// A home with the completions where each shell looks for them, and a place with some files.
class Home {
 public:
  Home() {
    const fs::path completions = fs::path{GATHERING_SOURCE_DIR} / "completions";
    Copy(completions / "gathering.bash", "share/bash-completion/completions/gathering");
    Copy(completions / "_gathering", "zsh/functions/_gathering");
    Copy(completions / "gathering.fish", "config/fish/completions/gathering.fish");
    fs::create_directories(Path("here/logs"));
    Write("here/access.log", "");
    Write("here/limits.toml", "");
  }

  [[nodiscard]] std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path{Path(name)}.parent_path());
    std::ofstream{Path(name)} << text;
  }

  ProcessResult Shell(const std::string& program, Words arguments, std::string input) const {
    INFO(program << ": examples/install-packages.sh --with-tests installs it");
    REQUIRE(fs::exists(program));
    return Run(program, {.arguments = std::move(arguments),
                         .environment = {{"HOME", directory_.path()},
                                         {"PATH", fs::path{GATHERING_BINARY}.parent_path().string() +
                                                      ":/usr/local/bin:/usr/bin:/bin"},
                                         {"TERM", "dumb"},
                                         {"LC_ALL", "C.UTF-8"},
                                         {"XDG_CONFIG_HOME", Path("config")},
                                         {"XDG_DATA_HOME", Path("share")},
                                         {"ZDOTDIR", Path("zsh")}},
                         .input = std::move(input),
                         .directory = Path("here"),
                         .deadline = std::chrono::seconds{60}});
  }

 private:
  void Copy(const fs::path& from, const std::string& to) const {
    fs::create_directories(fs::path{Path(to)}.parent_path());
    fs::copy_file(from, Path(to));
  }

  TemporaryDirectory directory_;
};

constexpr std::string_view kMark = "case ";  // and its number: before what was offered for it

// The function that stands for the program, and the table typed with a key that inserts all completions.
std::string WritesDown(const std::string& file) {
  return fmt::format("gathering() {{ printf '%s\\n' \"{}$CASE\" \"$@\" >> '{}'; }}\n", kMark, file);
}
std::string Typed(const std::vector<Case>& cases) {
  std::string lines;
  for (std::size_t i = 0; i < cases.size(); ++i) lines += fmt::format("CASE={} {}\x14\n", i, cases[i].typed);
  return lines;
}

std::vector<Words> ByCase(std::istream& text, std::size_t count) {
  std::vector<Words> answers(count);
  std::size_t at = count;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with(kMark)) {
      at = std::stoul(line.substr(kMark.size()));
      answers.at(at).clear();
    } else if (at < count) {
      answers[at].push_back(line.substr(0, line.find('\t')));  // fish: and what it means
    }
  }
  return answers;
}

// Of the words that were called what is new: without those typed before, and not the last one as it was.
std::vector<Words> Inserted(const std::string& file, const std::vector<Case>& cases) {
  std::ifstream in{file};
  std::vector<Words> answers = ByCase(in, cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::istringstream typed{cases[i].typed};
    const Words words{std::istream_iterator<std::string>{typed}, {}};
    const std::string last = LastWord(cases[i].typed);
    const std::size_t before = words.size() - 1 - (last.empty() ? 0 : 1);  // without "gathering"
    Words& answer = answers[i];
    INFO(cases[i].typed << ": " << answer.size() << " words");
    REQUIRE(answer.size() >= before);
    answer.erase(answer.begin(), answer.begin() + static_cast<std::ptrdiff_t>(before));
    if (answer == Words{last}) answer.clear();
  }
  return answers;
}

void CheckOffered(const std::vector<Case>& cases, const std::vector<Words>& answers) {
  REQUIRE(cases.size() >= 20);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    INFO(cases[i].typed);
    CHECK(Normalized(answers[i]) == cases[i].offered);
  }
}

}  // namespace

TEST_CASE("bash completes commands, flags and their values", "[cli][completion]") {
  const Home home;
  const std::vector<Case> cases = Cases();
  home.Write("bashrc",
             "source /usr/share/bash-completion/bash_completion\nbind '\"\\C-t\": insert-completions'\n" +
                 WritesDown(home.Path("called")));
  home.Shell("/bin/bash", {"--noprofile", "--rcfile", home.Path("bashrc"), "-i"}, Typed(cases));
  CheckOffered(cases, Inserted(home.Path("called"), cases));
}

TEST_CASE("zsh completes commands, flags and their values", "[cli][completion]") {
  const Home home;
  const std::vector<Case> cases = Cases();
  home.Write("zsh/.zshrc",
             "fpath=($ZDOTDIR/functions $fpath)\nautoload -Uz compinit; compinit -u -D\n"
             "zstyle ':completion:all:*' completer _all_matches _complete\n"
             "zstyle ':completion:all:*' insert yes\n"
             "zle -C all complete-word _generic\nbindkey '^T' all\n" +
                 WritesDown(home.Path("called")));
  // Its line editor wants a terminal, which script makes.
  home.Shell("/usr/bin/script", {"-qec", "/usr/bin/zsh -d -i", "/dev/null"}, Typed(cases) + "exit\n");
  CheckOffered(cases, Inserted(home.Path("called"), cases));
}

TEST_CASE("fish completes commands, flags and their values", "[cli][completion]") {
  const Home home;
  const std::vector<Case> cases = Cases();
  std::string program;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    program += fmt::format("echo '{}{}'\ncomplete -C '{}'\n", kMark, i, cases[i].typed);
  }
  const ProcessResult asked = home.Shell("/usr/bin/fish", {"-c", program}, {});
  std::istringstream out{asked.out};
  CheckOffered(cases, ByCase(out, cases.size()));
}

}  // namespace gathering::test
