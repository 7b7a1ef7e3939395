#pragma once
// The command table as a parser, and as a description that help, completions and
// manual pages read without knowing the parser.
#include <memory>
#include <string>
#include <vector>

#include "cmd/command.h"

namespace gathering::cmd {

struct OptionInfo {
  std::string name;        // "--listen"; a positional argument's word
  std::string short_name;  // "-q" or empty
  std::string value;       // "ADDRESS", "FILE", "text|json"; empty: a switch
  std::string help;
  bool positional = false;
  bool required = false;
  bool repeated = false;

  // Of "text|json", and what there is of CACHE, SCENARIO and GLOB (types of events); else empty.
  [[nodiscard]] std::vector<std::string> Choices() const;
};

struct CommandInfo {
  std::string name;  // "serve", "migrate status"; empty at the root
  std::string help;
  const Command* row = nullptr;  // null at the root and below a row
  std::vector<OptionInfo> options;
  std::vector<CommandInfo> commands;  // without hidden ones

  [[nodiscard]] std::string_view LastWord() const;
};

class Tree {
 public:
  explicit Tree(Environment environment);
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  // Parses `arguments` (without the program's name) and runs what they ask for.  Reports every error.
  [[nodiscard]] Exit Run(const std::vector<std::string>& arguments);

  [[nodiscard]] CommandInfo Describe() const;

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

// The description of "migrate status" below `root`; null when there is none.
[[nodiscard]] const CommandInfo* Find(const CommandInfo& root, const std::vector<std::string>& words);

}  // namespace gathering::cmd
