// An event on its way to a browser: whatever was written into the log, it is one event with one id.
#include "daemon/streams/sse.h"

#include "core/replay/jsonl_source.h"
#include "core/schema/writer.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::fuzz::Require;

// As a browser reads it (WHATWG HTML, section 9.2.6): every CR, LF or CRLF ends a line.
struct Parsed {
  int events = 0;
  std::string id;
  std::string data;
};

Parsed Parse(std::string_view stream) {
  Parsed parsed;
  bool any = false;
  while (!stream.empty()) {
    const std::size_t end = std::min(stream.find_first_of("\r\n"), stream.size());
    const std::string_view line = stream.substr(0, end);
    const std::size_t after = stream.substr(end).starts_with("\r\n") ? 2 : 1;
    stream.remove_prefix(std::min(end + after, stream.size()));
    if (line.empty()) {
      parsed.events += any ? 1 : 0;
      any = false;
      continue;
    }
    if (line.starts_with("id: ")) parsed.id = line.substr(4);
    if (line.starts_with("data: ")) {
      any = true;
      parsed.data += parsed.data.empty() ? "" : "\n";
      parsed.data += line.substr(6);
    }
  }
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = gathering::replay::ReadLine(gathering::fuzz::Input{data, size}.Rest());
  const auto* record = std::get_if<gathering::events::Record>(&read);
  // The log gives its data without line ends, which in a file may stand between values.
  if (record == nullptr || gathering::fuzz::HasAnyOf(record->data.text, "\r")) return 0;
  const Parsed parsed = Parse(gathering::streams::ToSse(*record));
  Require(parsed.events == 1, "a record is one event");
  Require(parsed.id == std::to_string(record->sequence), "its id is its place in the log");
  gathering::fuzz::RequireSame(parsed.data, gathering::schema::ToJson(*record), "its data is the record");
  return 0;
}
