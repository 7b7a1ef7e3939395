#pragma once
// How far a replay is, so that another run goes on behind it.
#include <cstdint>
#include <optional>
#include <string>

#include "core/schema/fields.h"

namespace gathering::replay {

// Behind one event of an input.  Of the log only the sequence number counts, of a file the rest.
struct Place {
  std::int64_t sequence = 0;
  std::int64_t line = 0;    // lines before it
  std::int64_t offset = 0;  // bytes before it
  std::string tail = {};    // digest of the last of these bytes: another file differs in them

  static void Fields(auto& self, auto& visit) {
    visit("sequence", self.sequence);
    visit("line", self.line);
    visit("offset", self.offset);
    visit("tail", self.tail);
  }
};

// What a resume file holds, as JSON.
struct Position {
  std::int64_t schema = 1;
  std::string input;                         // which log or file
  std::string output;                        // what it was brought to
  std::optional<std::int64_t> written = {};  // bytes of an output that is a file
  Place place = {};

  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema, {.min = 1, .max = 1, .required = true});
    visit("input", self.input, {.required = true});
    visit("output", self.output, {.required = true});
    visit("written", self.written, {.min = 0});
    visit("place", self.place, {.required = true});
  }
};

// Nothing when there is no such file.  Throws Error kRejected when it is about another input or output than
// `expected`, or was not written by Save.
[[nodiscard]] std::optional<Position> Load(const std::string& file, const Position& expected);

// Whoever reads the file sees the old position or this one, also after a crash.  Throws Error kInternal.
void Save(const std::string& file, const Position& position);

}  // namespace gathering::replay
