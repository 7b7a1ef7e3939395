// A tool of the build: turns .sql files into C++.
//
//   embed OUTDIR --migrations FILE... --queries FILE...
//
// writes queries.h and queries.cpp (one db::Query for each "-- name: agent_by_id" section, one text for
// each "-- script: bench_schema" section, and db::AllQueries) and migrations.cpp (db::Migrations, with
// SHA-256).  Whatever could go wrong with the files later is refused here, as "FILE:LINE: reason".  A file
// whose content would not change is not written, so that nothing is compiled again without need.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/evp.h>

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytesMax = 16'384;  // the standard promises 64 KiB for one literal
constexpr std::string_view kSectionMark = "-- name:";
constexpr std::string_view kScriptMark = "-- script:";
constexpr std::string_view kSlowMark = " (slow)";
constexpr std::string_view kNoTransactionMark = "-- no-transaction";

// One of these makes a statement a write.  Functions that write do not appear in reads of ours; the
// tests run every read in a read-only transaction.
constexpr std::string_view kWriteWords[] = {
    "insert",         "update", "delete",     "merge",     "truncate",          "share",
    "nextval",        "setval", "set_config", "pg_notify", "pg_cancel_backend", "pg_logical_emit_message",
    "events_maintain"};

struct Section {
  std::string name;
  std::string identifier;
  std::string text;
  std::string origin;  // "core/agents/agents.sql:12"
  bool slow = false;
  bool script = false;  // statements that the server does not prepare
};

struct MigrationFile {
  std::uint32_t number = 0;
  std::string name;
  std::string up;
  std::string down;
  std::string sha256;
  bool transactional = true;
};

[[noreturn]] void Refuse(const std::string& where, const std::string& reason) {
  throw std::runtime_error{where + ": " + reason};
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in) Refuse(path.string(), "cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  std::string content = std::move(text).str();
  if (content.find('\0') != std::string::npos) Refuse(path.string(), "holds a NUL byte");
  if (content.find('\r') != std::string::npos) Refuse(path.string(), "has Windows line ends");
  return content;
}

void WriteIfChanged(const fs::path& path, const std::string& content) {
  if (fs::exists(path) && ReadFile(path) == content) return;
  std::ofstream out{path, std::ios::binary | std::ios::trunc};
  out << content;
  out.flush();
  if (!out) Refuse(path.string(), "cannot be written");
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// Drops blank and comment lines at both ends: the latter describe this section or the next one.
std::string TrimComments(std::string_view text) {
  text = Trim(text);
  while (text.starts_with("--")) {
    const std::size_t end = text.find('\n');
    text = end == std::string_view::npos ? std::string_view{} : Trim(text.substr(end));
  }
  for (;;) {
    const std::size_t start = text.rfind('\n');
    if (start == std::string_view::npos || !Trim(text.substr(start)).starts_with("--")) break;
    text = Trim(text.substr(0, start));
  }
  return std::string{text};
}

// "agent_by_id" -> "kAgentById".  Empty when the name is not made of lower-case words.
std::string ToIdentifier(std::string_view name) {
  std::string identifier = "k";
  bool word_start = true;
  for (const char c : name) {
    if (c == '_') {
      if (word_start) return {};
      word_start = true;
      continue;
    }
    const bool letter = c >= 'a' && c <= 'z';
    const bool digit = c >= '0' && c <= '9';
    if (!letter && (!digit || word_start)) return {};
    identifier += word_start ? static_cast<char>(c - 'a' + 'A') : c;
    word_start = false;
  }
  if (word_start) return {};
  return identifier;
}

Section OpenSection(std::string_view line, const std::string& where) {
  Section section;
  section.script = line.starts_with(kScriptMark);
  std::string_view name = Trim(line.substr(section.script ? kScriptMark.size() : kSectionMark.size()));
  section.slow = !section.script && name.ends_with(kSlowMark);
  if (section.slow) name.remove_suffix(kSlowMark.size());
  section.name = name;
  section.identifier = ToIdentifier(section.name);
  section.origin = where;
  if (section.identifier.empty()) {
    Refuse(where, "\"" + section.name + "\" is not a name like agent_by_id (words that begin with a letter)");
  }
  return section;
}

void CloseSection(Section& section, std::vector<Section>& sections) {
  section.text = TrimComments(section.text);
  if (section.text.empty()) Refuse(section.origin, "the section \"" + section.name + "\" is empty");
  sections.push_back(std::move(section));
}

void ReadSections(const fs::path& path, std::vector<Section>& sections) {
  std::istringstream in{ReadFile(path)};
  Section current;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string where = path.string() + ":" + std::to_string(++number);
    if (line.starts_with(kSectionMark) || line.starts_with(kScriptMark)) {
      if (!current.name.empty()) CloseSection(current, sections);
      current = OpenSection(line, where);
    } else if (!current.name.empty()) {
      current.text += line + "\n";
    } else if (const auto text = Trim(line); !text.empty() && !text.starts_with("--")) {
      Refuse(where, "text before the first \"-- name:\" line");
    }
  }
  if (current.name.empty()) Refuse(path.string(), "has no \"-- name:\" line");
  CloseSection(current, sections);
}

// The statement in lower case without its texts and comments.
std::string Bare(std::string_view text) {
  std::string bare;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("--")) {
      i = std::min(text.find('\n', i), text.size());
    } else if (text[i] == '\'' || text[i] == '"') {
      i = std::min(text.find(text[i], i + 1), text.size());
    } else {
      bare += text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
      continue;
    }
    bare += ' ';
  }
  return bare;
}

bool Writes(std::string_view text) {
  const std::string bare = Bare(text);
  const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  for (std::size_t i = 0; i < bare.size();) {
    std::size_t end = i;
    while (end < bare.size() && is_word(bare[end])) ++end;
    const auto word = std::string_view{bare}.substr(i, end - i);
    if (std::find(std::begin(kWriteWords), std::end(kWriteWords), word) != std::end(kWriteWords)) return true;
    i = end + 1;
  }
  return false;
}

std::vector<Section> ReadQueries(const std::vector<fs::path>& files) {
  std::vector<Section> sections;
  for (const auto& file : files) ReadSections(file, sections);
  std::map<std::string, const Section*> seen;
  for (const auto& section : sections) {
    const auto [other, fresh] = seen.emplace(section.identifier, &section);
    if (!fresh) {
      Refuse(section.origin, "the name \"" + section.name + "\" is taken by " + other->second->origin);
    }
  }
  return sections;
}

std::string Sha256Hex(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error{"SHA-256 is not available"};
  }
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

MigrationFile ReadMigration(const fs::path& path) {
  const std::string stem = path.stem().string();
  const std::string shape = "is not named like 0001_identity.sql";
  if (stem.size() < 6 || stem[4] != '_' || path.extension() != ".sql") Refuse(path.string(), shape);
  MigrationFile migration;
  for (const char c : stem.substr(0, 4)) {
    if (c < '0' || c > '9') Refuse(path.string(), shape);
    migration.number = migration.number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  migration.name = stem.substr(5);
  if (ToIdentifier(migration.name).empty()) Refuse(path.string(), shape);
  fs::path down = path;
  down.replace_extension(".down.sql");
  if (!fs::exists(down)) Refuse(path.string(), "has no " + down.filename().string() + " beside it");
  migration.up = ReadFile(path);
  migration.down = ReadFile(down);
  if (TrimComments(migration.up).empty()) Refuse(path.string(), "is empty");
  if (TrimComments(migration.down).empty()) Refuse(down.string(), "is empty");
  migration.sha256 = Sha256Hex(migration.up);
  migration.transactional = Trim(migration.up.substr(0, migration.up.find('\n'))) != kNoTransactionMark;
  return migration;
}

std::vector<MigrationFile> ReadMigrations(const std::vector<fs::path>& files) {
  std::vector<MigrationFile> migrations;
  for (const auto& file : files) migrations.push_back(ReadMigration(file));
  std::sort(migrations.begin(), migrations.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  for (std::uint32_t i = 0; i < migrations.size(); ++i) {
    const MigrationFile& migration = migrations[i];
    if (migration.number != i + 1) {
      Refuse("migrations", "expected number " + std::to_string(i + 1) + ", found " +
                               std::to_string(migration.number) + " (" + migration.name +
                               "); numbers go up from 1 without gaps or repetition");
    }
  }
  return migrations;
}

// A C++ expression of type std::string_view that holds `text`.
std::string Literal(std::string_view text) {
  std::string mark = "sql";
  while (text.find(")" + mark + "\"") != std::string_view::npos) mark += "_";
  std::string pieces;
  for (std::size_t at = 0; at == 0 || at < text.size(); at += kPieceBytesMax) {
    if (at != 0) pieces += "\n";
    pieces += "R\"" + mark + "(";
    pieces += text.substr(at, kPieceBytesMax);
    pieces += ")" + mark + "\"";
  }
  return "std::string_view{" + pieces + ", " + std::to_string(text.size()) + "}";
}

std::string QueriesHeader(const std::vector<Section>& sections) {
  std::string out =
      "#pragma once\n// Generated from the .sql files; change those.\n#include \"core/db/query.h\"\n\n"
      "namespace gathering::sql {\n\n";
  for (const auto& section : sections) {
    out += section.script ? "extern const std::string_view " : "extern const db::Query ";
    out += section.identifier + ";\n";
  }
  return out + "\n}  // namespace gathering::sql\n";
}

std::string QueriesSource(const std::vector<Section>& sections) {
  std::string out = "#include \"core/db/queries.h\"\n\nnamespace gathering::sql {\n\n";
  std::size_t number = 0;
  for (const auto& section : sections) {
    if (section.script) {
      out += "constinit const std::string_view " + section.identifier + " = " + Literal(section.text) + ";\n";
      continue;
    }
    out += "constinit const db::Query " + section.identifier + "{\"" + section.name + "\", " +
           Literal(section.text) + ", db::Effect::" + (Writes(section.text) ? "kWrite" : "kRead") +
           ", db::Pace::" + (section.slow ? "kSlow" : "kQuick") + ", " + std::to_string(number++) + "};\n";
  }
  out +=
      "\n}  // namespace gathering::sql\n\nnamespace gathering::db {\n\n"
      "std::span<const Query* const> AllQueries() {\n";
  if (number == 0) return out + "  return {};\n}\n\n}  // namespace gathering::db\n";
  out += "  static constexpr const Query* kAll[] = {\n";
  for (const auto& section : sections) {
    if (!section.script) out += "      &sql::" + section.identifier + ",\n";
  }
  return out + "  };\n  return kAll;\n}\n\n}  // namespace gathering::db\n";
}

std::string MigrationsSource(const std::vector<MigrationFile>& migrations) {
  std::string out =
      "#include \"core/db/migrate.h\"\n\nnamespace gathering::db {\n\n"
      "std::span<const Migration> Migrations() {\n";
  if (migrations.empty()) return out + "  return {};\n}\n\n}  // namespace gathering::db\n";
  out += "  static constexpr Migration kAll[] = {\n";
  for (const auto& migration : migrations) {
    out += "      {.number = " + std::to_string(migration.number) + ",\n       .name = \"" + migration.name +
           "\",\n       .up = " + Literal(migration.up) + ",\n       .down = " + Literal(migration.down) +
           ",\n       .sha256 = \"" + migration.sha256 +
           "\",\n       .transactional = " + (migration.transactional ? "true" : "false") + "},\n";
  }
  return out + "  };\n  return kAll;\n}\n\n}  // namespace gathering::db\n";
}

int Run(const std::vector<std::string>& arguments) {
  std::vector<fs::path> migrations;
  std::vector<fs::path> queries;
  std::vector<fs::path>* list = nullptr;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i] == "--migrations") {
      list = &migrations;
    } else if (arguments[i] == "--queries") {
      list = &queries;
    } else if (list != nullptr) {
      list->emplace_back(arguments[i]);
    } else {
      Refuse(arguments[i], "comes before --migrations and --queries");
    }
  }
  const fs::path directory = arguments[0];
  fs::create_directories(directory);
  const auto sections = ReadQueries(queries);
  const auto files = ReadMigrations(migrations);
  WriteIfChanged(directory / "queries.h", QueriesHeader(sections));
  WriteIfChanged(directory / "queries.cpp", QueriesSource(sections));
  WriteIfChanged(directory / "migrations.cpp", MigrationsSource(files));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.empty()) Refuse("embed", "usage: embed OUTDIR --migrations FILE... --queries FILE...");
    return Run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
