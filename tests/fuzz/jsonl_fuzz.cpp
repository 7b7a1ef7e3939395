// Files of events: the same events from a file and from a pipe, from the beginning and from any place.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/replay/jsonl_source.h"
#include "core/schema/writer.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::Fd;
using gathering::fuzz::Require;
using gathering::fuzz::RequireSame;
using gathering::replay::Item;
using gathering::replay::JsonlSource;
using gathering::replay::Place;

constexpr std::size_t kPipeBytesMax = 60'000;  // a pipe takes so much without a reader

const std::atomic<bool> kGoOn = false;

struct Step {
  std::string text;
  Place place;
};

std::vector<Step> ReadAll(JsonlSource& source) {
  std::vector<Step> steps;
  while (auto next = source.Next()) {
    Step step{.text = {}, .place = source.place()};
    if (const auto* item = std::get_if<Item>(&*next)) {
      step.text = std::to_string(item->number) + " " + gathering::schema::ToJson(item->record);
      const auto again = gathering::replay::ReadLine(gathering::schema::ToJson(item->record));
      const auto* record = std::get_if<gathering::events::Record>(&again);
      Require(record != nullptr, "a written event is read back");
      RequireSame(gathering::schema::ToJson(*record), gathering::schema::ToJson(item->record),
                  "a written event is the same");
    } else {
      const auto& complaint = std::get<gathering::replay::Complaint>(*next);
      Require(!complaint.what.empty(), "a complaint has words");
      step.text = std::to_string(complaint.number) + " " + complaint.what;
    }
    Require(steps.empty() || step.place.offset > steps.back().place.offset,
            "each line is behind the one before");
    steps.push_back(std::move(step));
  }
  return steps;
}

Fd FileOf(std::string_view text) {
  Fd file{::memfd_create("events", MFD_CLOEXEC)};
  Require(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()),
          "it is written");
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

Fd PipeOf(std::string_view text) {
  int ends[2];
  Require(::pipe2(ends, O_CLOEXEC) == 0, "there are pipes");
  const Fd in{ends[1]};
  Require(::write(in.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()), "it is written");
  return Fd{ends[0]};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gathering::fuzz::Input input{data, size};
  const std::uint8_t where = input.Byte();
  const std::string_view text = input.Rest().substr(0, kPipeBytesMax);
  JsonlSource file{FileOf(text), "file", kGoOn};
  const std::vector<Step> all = ReadAll(file);
  Require(all.empty() || all.back().place.offset <= static_cast<std::int64_t>(text.size()),
          "all is in the text");

  JsonlSource pipe{PipeOf(text), "pipe", kGoOn};
  const std::vector<Step> piped = ReadAll(pipe);
  Require(piped.size() == all.size(), "a pipe holds what a file holds");
  for (std::size_t i = 0; i < all.size(); ++i)
    RequireSame(piped[i].text, all[i].text, "a pipe says the same");

  if (all.empty()) return 0;
  const std::size_t from = where % all.size();
  JsonlSource later{FileOf(text), "file", kGoOn};
  Require(later.GoTo(all[from].place), "a place of a text is found in it");
  const std::vector<Step> rest = ReadAll(later);
  Require(rest.size() == all.size() - from - 1, "what is behind a place is the rest");
  for (std::size_t i = 0; i < rest.size(); ++i)
    RequireSame(rest[i].text, all[from + 1 + i].text, "the rest is the same");
  return 0;
}
