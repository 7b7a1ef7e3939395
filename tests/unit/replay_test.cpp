// What a replay is made of, without a database and without waiting.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/replay/jsonl_source.h"
#include "core/replay/replay.h"
#include "core/replay/what_if.h"
#include "core/schema/writer.h"
#include "tests/support/json.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temporary_directory.h"

namespace gathering::replay {
namespace {

using namespace std::chrono_literals;
using test::ManualClock;
using test::TemporaryDirectory;

constexpr Timestamp kBegin{1'767'323'045'000'000};

events::Record Happened(std::int64_t number, std::chrono::microseconds after = 0us,
                        std::string type = "task.created") {
  events::Record record;
  record.sequence = number;
  record.event_id = {.high = 7, .low = static_cast<std::uint64_t>(number)};
  record.type = std::move(type);
  record.data.text = R"({"circle":"a","n":)" + std::to_string(number) + "}";
  record.circle_id = 1;
  record.timestamp = {kBegin.micros + after.count()};
  return record;
}

std::string Line(const events::Record& record) {
  return schema::ToJson(record) + "\n";
}

// What stands in a list comes out of it.
class ListSource final : public Source {
 public:
  explicit ListSource(std::vector<events::Record> records) : records_(std::move(records)) {}
  std::optional<std::variant<Item, Complaint>> Next() override {
    if (given_ == records_.size()) return std::nullopt;
    const events::Record& record = records_[given_++];
    place_.sequence = record.sequence;
    if (record.type.empty()) return Complaint{.number = record.sequence, .what = "bad"};
    return Item{.record = record, .number = record.sequence};
  }
  const Place& place() const override { return place_; }
  std::string_view unit() const override { return "event"; }

 private:
  std::vector<events::Record> records_;
  std::size_t given_ = 0;
  Place place_;
};

class ListSink final : public Sink {
 public:
  Delivery Deliver(std::span<Item> items) override {
    ++batches;
    for (const Item& item : items) numbers.push_back(item.number);
    return {.delivered = static_cast<std::int64_t>(items.size())};
  }
  void Finish() override { finished = true; }

  std::vector<std::int64_t> numbers;
  int batches = 0;
  bool finished = false;
};

// A replay whose pauses take no time.
struct Scene {
  Scene() {
    options.stop = &stop;
    options.rest = [this](Clock::Steady until) {
      const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(until - clock.Now());
      pauses.push_back(pause);
      delivered_before_pauses.push_back(sink.numbers.size());
      if (pauses.size() == stop_in_pause) {
        stop = true;
      } else {
        clock.Advance(pause);
      }
    };
    options.on_place = [this](const Place& place) { places.push_back(place.sequence); };
    options.on_progress = [this](const Progress& progress) { counts = progress.counts; };
  }

  Ending Replay(std::vector<events::Record> records) {
    ListSource source{std::move(records)};
    return replay::Replay(source, sink, options, clock);
  }

  ManualClock clock;
  std::atomic<bool> stop = false;
  std::size_t stop_in_pause = 0;
  ReplayOptions options;
  ListSink sink;
  std::vector<std::chrono::milliseconds> pauses;
  std::vector<std::size_t> delivered_before_pauses;
  std::vector<std::int64_t> places;
  Counts counts;
};

Fd Open(const std::string& file) {
  return Fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
}

std::string WriteFile(const TemporaryDirectory& directory, const std::string& text) {
  const std::string file = directory.path() + "/events.jsonl";
  std::ofstream{file, std::ios::binary} << text;
  return file;
}

std::string ReadFile(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream{file, std::ios::binary}.rdbuf();
  return text.str();
}

std::string Refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.message;
  }
  return "nothing is wrong";
}

std::string WhyBad(std::string_view line) {
  const auto read = ReadLine(line);
  const auto* why = std::get_if<std::string>(&read);
  return why != nullptr ? *why : "";
}

std::vector<events::Event> Kept(const std::vector<events::Record>& records) {
  WhatIfSink sink;
  std::vector<Item> items;
  for (const events::Record& record : records) items.push_back({record, record.sequence});
  REQUIRE(sink.Deliver(items).failed.empty());
  return {sink.events().begin(), sink.events().end()};
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

// --- pace and order --------------------------------------------------------------------------------

TEST_CASE("at speed 1 events come as they came, at 10 ten times as fast", "[replay]") {
  const std::vector<events::Record> records = {Happened(1), Happened(2, 1s), Happened(3, 1s),
                                               Happened(4, 4s)};
  Scene scene;
  scene.options.pace.speed = 1;
  CHECK(scene.Replay(records) == Ending::kDone);
  CHECK(scene.pauses == std::vector{1'000ms, 3'000ms});
  CHECK(scene.delivered_before_pauses == std::vector<std::size_t>{1, 3});
  CHECK(scene.sink.numbers == std::vector<std::int64_t>{1, 2, 3, 4});
  CHECK(scene.sink.finished);

  Scene faster;
  faster.options.pace.speed = 10;
  (void)faster.Replay(records);
  CHECK(faster.pauses == std::vector{100ms, 300ms});

  Scene capped;
  capped.options.pace = {.speed = 1, .gap_max = 1'500ms};
  (void)capped.Replay(records);
  CHECK(capped.pauses == std::vector{1'000ms, 1'500ms});

  Scene unpaced;
  (void)unpaced.Replay(records);
  CHECK(unpaced.pauses.empty());
  CHECK(unpaced.sink.batches == 1);
}

TEST_CASE("an event older than the one before it is not waited for, and does not set the clock back",
          "[replay]") {
  Scene scene;
  scene.options.pace.speed = 1;
  (void)scene.Replay({Happened(1, 5s), Happened(2, 1s), Happened(3, 6s)});
  CHECK(scene.pauses == std::vector{1'000ms});
}

TEST_CASE("what is late is made up for", "[replay]") {
  ManualClock clock;
  Pace pace{{.speed = 1}};
  const Clock::Steady begin = pace.Due(kBegin, clock.Now());
  clock.Advance(10s);
  CHECK(pace.Due({kBegin.micros + 1'000'000}, clock.Now()) == begin + 1s);
  CHECK(pace.Due({kBegin.micros + 12'000'000}, clock.Now()) == begin + 12s);
}

TEST_CASE("who stops in a pause keeps what came before it, and the place says so", "[replay]") {
  Scene scene;
  scene.options.pace.speed = 1;
  scene.stop_in_pause = 2;
  CHECK(scene.Replay({Happened(1), Happened(2, 1s), Happened(3, 2s), Happened(4, 3s)}) == Ending::kStopped);
  CHECK(scene.sink.numbers == std::vector<std::int64_t>{1, 2});
  CHECK_FALSE(scene.sink.finished);
  CHECK(scene.places.back() == 2);
  CHECK(scene.counts.read == 2);
}

TEST_CASE("a replay counts what it reads once", "[replay]") {
  Scene scene;
  scene.options.filter.types = {"task.*"};
  std::vector<events::Record> records;
  for (int i = 1; i <= 1'200; ++i)
    records.push_back(Happened(i, 0us, i % 3 == 0 ? "agent.created" : "task.failed"));
  records.push_back(records[0]);
  records.push_back(Happened(1'201, 0us, ""));
  CHECK(scene.Replay(records) == Ending::kDone);
  CHECK(scene.counts.read == 1'202);
  CHECK(scene.counts.delivered == 800);
  CHECK(scene.counts.filtered == 400);
  CHECK(scene.counts.deduplicated == 1);
  CHECK(scene.counts.failed == 1);
  CHECK(scene.sink.batches == 2);
  CHECK(scene.places.back() == 1'201);
}

TEST_CASE("a limit counts what is delivered, and strict ends before the first bad one", "[replay]") {
  std::vector<events::Record> records;
  for (int i = 1; i <= 10; ++i)
    records.push_back(Happened(i, 0us, i % 2 == 0 ? "task.failed" : "agent.created"));
  Scene limited;
  limited.options.filter.types = {"task.*"};
  limited.options.limit = 2;
  CHECK(limited.Replay(records) == Ending::kDone);
  CHECK(limited.sink.numbers == std::vector<std::int64_t>{2, 4});

  records[5].type = "";
  Scene strict;
  strict.options.strict = true;
  CHECK(strict.Replay(records) == Ending::kStrict);
  CHECK(strict.sink.numbers.size() == 5);
  CHECK(strict.places.back() == 5);
  CHECK_FALSE(strict.sink.finished);
}

// --- filters ---------------------------------------------------------------------------------------

TEST_CASE("bounds are numbers or times", "[replay]") {
  CHECK(ParseBound("17") == Bound{std::int64_t{17}});
  CHECK(ParseBound("2026-01-02T03:04:05Z") == Bound{kBegin});
  for (const char* wrong : {"", "-1", "yesterday", "2026-01-02", "17x"}) {
    INFO(wrong);
    CHECK_FALSE(ParseBound(wrong));
  }
}

TEST_CASE("from is included, to is when it is a number", "[replay]") {
  const auto fits = [](const char* from, const char* to, std::int64_t number) {
    const Filter filter{.from = ParseBound(from), .to = ParseBound(to)};
    return filter.Fits(Happened(number, std::chrono::seconds{number}));
  };
  CHECK_FALSE(fits("3", "5", 2));
  CHECK(fits("3", "5", 3));
  CHECK(fits("3", "5", 5));
  CHECK_FALSE(fits("3", "5", 6));
  CHECK(fits("2026-01-02T03:04:08Z", "2026-01-02T03:04:10Z", 3));
  CHECK(fits("2026-01-02T03:04:08Z", "2026-01-02T03:04:10Z", 4));
  CHECK_FALSE(fits("2026-01-02T03:04:08Z", "2026-01-02T03:04:10Z", 5));
}

TEST_CASE("a circle is known by its number or by the name in the data", "[replay]") {
  const events::Record record = Happened(1);
  CHECK(Filter{.circle_ids = {4, 1}}.Fits(record));
  CHECK_FALSE(Filter{.circle_ids = {4}}.Fits(record));
  CHECK(Filter{.circle_name = "a"}.Fits(record));
  CHECK_FALSE(Filter{.circle_name = "b"}.Fits(record));
  CHECK_FALSE(Filter{.source_agent_id = 1}.Fits(record));
  CHECK_FALSE(Filter{}.Fits(Happened(1, 0us, "token.revoked")));
}

// --- lines -----------------------------------------------------------------------------------------

TEST_CASE("a line is read as it was written, with every digit", "[replay]") {
  const std::string data = R"({"n": 12345678901234567890123, "x": 1.10, "text": "}, \"data\": 3"})";
  const auto read =
      ReadLine(R"({"other": {"data": 1}, "data" : )" + data +
               R"( , "sequence": 5, "event_id": "019aa0e4-6f5c-7c3e-a2b1-0123456789ab", "type": "new.kind",)"
               R"("timestamp": "2026-01-02T03:04:05Z"})");
  const auto& record = std::get<events::Record>(read);
  CHECK(record.data.text == data);
  CHECK(record.sequence == 5);
  CHECK(record.type == "new.kind");
  CHECK(record.timestamp == kBegin);
  CHECK_FALSE(record.circle_id);
  CHECK(std::get<events::Record>(ReadLine(Line(Happened(1)))).event_id == Happened(1).event_id);
}

TEST_CASE("what is wrong with a line is said", "[replay]") {
  const auto changed = [](const std::string& member, nlohmann::json value) {
    auto line = nlohmann::json::parse(schema::ToJson(Happened(1)));
    line[member] = std::move(value);
    return line.dump();
  };
  CHECK(Contains(WhyBad("{"), "no JSON, from byte "));
  CHECK(Contains(WhyBad("event"), "no JSON"));
  CHECK(WhyBad("[]") == "it is no JSON object");
  CHECK(WhyBad("null") == "it is no JSON object");
  CHECK(WhyBad("{}") == "sequence: Field required");
  CHECK(Contains(WhyBad(changed("event_id", "7")), "event_id: "));
  CHECK(Contains(WhyBad(changed("data", "text")), "data: it should be an object"));
  CHECK(Contains(WhyBad(changed("data", {{"a", std::string("b\0", 2)}})), "data: "));
  CHECK(Contains(WhyBad(changed("type", "")), "type: "));
  CHECK(Contains(WhyBad(changed("type", std::string(101, 'x'))), "type: "));
  CHECK(Contains(WhyBad(changed("timestamp", "0000-01-01T00:00:00Z")), "timestamp: "));
  CHECK(Contains(WhyBad(changed("circle_id", "x")), "circle_id: "));
  CHECK(WhyBad(std::string_view{"{\0}", 3}) == "it holds a NUL byte");
  CHECK(WhyBad(changed("type", std::string(100, 'x'))).empty());
}

TEST_CASE("bad lines have numbers, empty ones only count, and the last needs no end", "[replay]") {
  const TemporaryDirectory directory;
  const std::string file = WriteFile(directory, Line(Happened(1)) + "\n \r\n" + std::string(3 << 20, 'x') +
                                                    "\nnonsense\n" + schema::ToJson(Happened(2)));
  const std::atomic<bool> stop = false;
  JsonlSource source{Open(file), file, stop};
  std::vector<std::int64_t> good;
  std::vector<std::pair<std::int64_t, std::string>> bad;
  while (auto next = source.Next()) {
    if (const auto* item = std::get_if<Item>(&*next)) {
      good.push_back(item->number);
    } else {
      bad.emplace_back(std::get<Complaint>(*next).number, std::get<Complaint>(*next).what);
    }
  }
  CHECK(good == std::vector<std::int64_t>{1, 6});
  REQUIRE(bad.size() == 2);
  CHECK(bad[0] == std::pair<std::int64_t, std::string>{4, "it is longer than 1048576 bytes"});
  CHECK(bad[1].first == 5);
  CHECK(source.place().line == 6);
  CHECK(source.place().offset == static_cast<std::int64_t>(std::filesystem::file_size(file)));
}

TEST_CASE("a source goes on behind any line, in a file and in a pipe, and knows another text", "[replay]") {
  const TemporaryDirectory directory;
  std::string text;
  for (int i = 1; i <= 300; ++i) text += i % 50 == 0 ? "bad\n" : Line(Happened(i));
  const std::string file = WriteFile(directory, text);
  const std::atomic<bool> stop = false;
  JsonlSource all{Open(file), file, stop};
  for (std::int64_t line = 1; all.Next(); ++line) {
    if (line % 37 != 1) continue;
    JsonlSource rest{Open(file), file, stop};
    REQUIRE(rest.GoTo(all.place()));
    const auto next = rest.Next();
    REQUIRE(next);
    const auto* item = std::get_if<Item>(&*next);
    CHECK((item != nullptr ? item->number : std::get<Complaint>(*next).number) == line + 1);
    CHECK(rest.place().line == line + 1);
  }
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Place behind_first;
  {
    JsonlSource first{Open(file), file, stop};
    REQUIRE(first.Next());
    behind_first = first.place();
    const std::string two = Line(Happened(1)) + Line(Happened(2));
    REQUIRE(::write(ends[1], two.data(), two.size()) == static_cast<ssize_t>(two.size()));
    ::close(ends[1]);
  }
  JsonlSource piped{Fd{ends[0]}, "a pipe", stop};
  REQUIRE(piped.GoTo(behind_first));
  CHECK(std::get<Item>(*piped.Next()).number == 2);
  CHECK_FALSE(piped.Next());

  Place other = behind_first;
  other.offset += 1;
  CHECK_FALSE(JsonlSource{Open(file), file, stop}.GoTo(other));
  other.offset = 1'000'000;
  CHECK_FALSE(JsonlSource{Open(file), file, stop}.GoTo(other));
}

TEST_CASE("what was read is delivered before a source waits for its writer", "[replay]") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const std::string line = Line(Happened(1));
  REQUIRE(::write(ends[1], line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  Scene scene;
  JsonlSource source{Fd{ends[0]}, "a pipe", scene.stop};
  scene.options.on_place = [&](const Place& place) {
    if (place.line == 1) scene.stop = true;  // nobody will write any more
  };
  CHECK(Replay(source, scene.sink, scene.options, scene.clock) == Ending::kStopped);
  CHECK(scene.sink.numbers == std::vector<std::int64_t>{1});
  ::close(ends[1]);
}

// --- positions -------------------------------------------------------------------------------------

TEST_CASE("a resume file holds a position, and belongs to its input and output", "[replay]") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/resume.json";
  const Position mine{.input = "file a", .output = "file b"};
  CHECK_FALSE(Load(file, mine));
  Position here = mine;
  here.written = 77;
  here.place = {.sequence = 1, .line = 2, .offset = 3, .tail = "x"};
  Save(file, here);
  const auto loaded = Load(file, mine);
  REQUIRE(loaded);
  CHECK(loaded->written == 77);
  CHECK(loaded->place.sequence == 1);
  CHECK(loaded->place.line == 2);
  CHECK(loaded->place.offset == 3);
  CHECK(loaded->place.tail == "x");
  CHECK(std::distance(std::filesystem::directory_iterator{directory.path()}, {}) == 1);

  CHECK(Contains(Refusal([&] { (void)Load(file, {.input = "file c", .output = "file b"}); }),
                 "belongs to another input: file a, and this is file c"));
  CHECK(Contains(Refusal([&] { (void)Load(file, {.input = "file a", .output = "file c"}); }),
                 "belongs to another output"));
  for (const char* text : {"", "{}", "nonsense", R"({"schema":2,"input":"file a","output":"file b"})",
                           R"({"schema":1,"input":"file a","output":"file b","place":{"offset":-1}})"}) {
    INFO(text);
    std::ofstream{file} << text;
    CHECK(Contains(Refusal([&] { (void)Load(file, mine); }), "holds no position of a replay"));
  }
}

// --- files -----------------------------------------------------------------------------------------

TEST_CASE("a file gets its name when it is whole, and a part is gone on with", "[replay]") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/out.jsonl";
  std::vector<Item> items = {{Happened(1), 1}};
  {
    FileSink sink{file, Keep::kNothing, {}};
    CHECK(sink.Deliver(items).delivered == 1);
    CHECK_FALSE(std::filesystem::exists(file));
    CHECK(Contains(Refusal([&] { FileSink{file, Keep::kNothing, {}}; }), "another replay writes"));
  }
  CHECK(std::filesystem::is_empty(directory.path()));

  Position position;
  {
    FileSink sink{file, Keep::kPart, {}};
    (void)sink.Deliver(items);
    sink.Note(position);
    (void)sink.Deliver(items);  // told to nobody: it is to be written again
  }
  CHECK(position.written == static_cast<std::int64_t>(Line(Happened(1)).size()));
  for (int round = 1; round <= 2; ++round) {  // the second goes on with the finished file
    std::vector<Item> more = {{Happened(1 + round), 1 + round}};
    FileSink sink{file, Keep::kPart, position.written};
    (void)sink.Deliver(more);
    sink.Note(position);
    sink.Finish();
  }
  CHECK(ReadFile(file) == Line(Happened(1)) + Line(Happened(2)) + Line(Happened(3)));
  CHECK_FALSE(std::filesystem::exists(file + ".partial"));
  CHECK(Contains(Refusal([&] { FileSink{file, Keep::kPart, 1'000'000}; }), "holds less than was written"));
  CHECK(Contains(Refusal([&] { FileSink{directory.path(), Keep::kNothing, {}}; }), "is a directory"));
}

// --- what if ---------------------------------------------------------------------------------------

TEST_CASE("a specification is every combination of its values", "[replay]") {
  const auto all = ParseWhatIf(" window = 50ms, 100ms ; dedup=1s,5s; queue=7; ");
  REQUIRE(all.size() == 4);
  CHECK(all[1] == WhatIf{.window = 50ms, .dedup = 5s, .queue = 7});
  CHECK(all[2] == WhatIf{.window = 100ms, .dedup = 1s, .queue = 7});
  CHECK(ParseWhatIf("batch=3,3,4").size() == 2);
  CHECK(ParseWhatIf("window=0ms").front().window == 0ms);
}

TEST_CASE("a wrong specification is refused in one line that helps", "[replay]") {
  const auto refusal = [](const char* text) { return Refusal([&] { (void)ParseWhatIf(text); }); };
  CHECK(Contains(refusal(""), "there is no setting to try"));
  CHECK(Contains(refusal("windw=1s"),
                 "there is no setting 'windw'; there are window, batch, dedup, queue; did "
                 "you mean 'window'?"));
  CHECK(Contains(refusal("window"), "'window' has no values"));
  CHECK(Contains(refusal("window=,"), "has no values"));
  CHECK(Contains(refusal("window=soon"), "'soon' is no duration"));
  CHECK(Contains(refusal("window=2h"), "is no duration up to 1h"));
  CHECK(Contains(refusal("queue=0"), "'0' is not a number from 1 to 1000000"));
  CHECK(Contains(refusal("queue=1;queue=2"), "'queue' is given twice"));
  CHECK(Contains(refusal("window=1ms,2ms,3ms,4ms,5ms,6ms,7ms,8ms,9ms,10ms,11ms;batch=1,2,3,4,5,6,7,8,9,10"),
                 "over 100 combinations"));
}

TEST_CASE("a window, a handler's time and a full queue have the delays they must", "[replay]") {
  const std::atomic<bool> stop = false;
  const auto one = RunWhatIf(Kept({Happened(1)}), {.window = 50ms}, 2ms, stop);
  REQUIRE(one);
  CHECK(one->published == 1);
  CHECK(one->batches == 1);
  CHECK(one->delay_p50_us == Approx(52'000).epsilon(0.01));

  // Full at once: two leave before the window is over.
  const auto full = RunWhatIf(Kept({Happened(1), Happened(2)}), {.window = 50ms, .batch = 2}, 2ms, stop);
  CHECK(full->batches == 1);
  CHECK(full->batch_mean == 2);
  CHECK(full->delay_p99_us == Approx(2'000).epsilon(0.01));
  CHECK(full->queue_peak == 2);

  // One circle, ten seconds a call: the publisher's patience is over before there is room again.
  std::vector<events::Record> many;
  for (int i = 1; i <= 20; ++i) many.push_back(Happened(i));
  const auto shed = RunWhatIf(Kept(many), {.window = 1ms, .batch = 1, .queue = 5}, 10s, stop);
  CHECK(shed->queue_peak == 5);
  CHECK(shed->shed == 15);
}

TEST_CASE("duplicates are told by the data, however it is written", "[replay]") {
  std::vector<events::Record> records;
  for (int i = 1; i <= 4; ++i) records.push_back(Happened(i, i * 400ms));
  records[0].data.text = R"({"b": 1, "a": [2]})";
  records[1].data.text = R"({"a":[2],"b":1})";
  records[2].data.text = R"({"a":[2],"b":1.5})";
  records[3].data.text = R"({"b":1,"a":[ 2 ]})";
  const std::atomic<bool> stop = false;
  CHECK(RunWhatIf(Kept(records), {.dedup = 1s}, 1ms, stop)->duplicates == 1);
  CHECK(RunWhatIf(Kept(records), {.dedup = 5s}, 1ms, stop)->duplicates == 2);
  CHECK(RunWhatIf(Kept(records), {.dedup = 0s}, 1ms, stop)->duplicates == 0);
}

TEST_CASE("the same events always give the same", "[replay]") {
  std::vector<events::Record> records;
  for (int i = 0; i < 5'000; ++i) {
    auto& record = records.emplace_back(Happened(i, (i * 7'919LL % 900) * 100us + i / 10 * 1ms));
    record.circle_id = i % 17;
    record.data.text = R"({"n":)" + std::to_string(i % 900) + "}";
  }
  const auto events = Kept(records);
  const std::atomic<bool> stop = false;
  for (const WhatIf& settings : ParseWhatIf("window=5ms,50ms;batch=1,100;dedup=10ms,1s;queue=20,1000")) {
    const auto first = RunWhatIf(events, settings, 3ms, stop);
    const auto second = RunWhatIf(events, settings, 3ms, stop);
    REQUIRE(first);
    CHECK(schema::ToJson(*first) == schema::ToJson(*second));
    CHECK(first->published + first->duplicates == 5'000);
    CHECK(first->queue_peak <= settings.queue);
  }
}

TEST_CASE("what is not to be kept is refused or named", "[replay]") {
  WhatIfSink sink;
  std::vector<Item> items = {{Happened(1), 1}, {Happened(2, 0us, "new.kind"), 2}};
  const Delivery delivery = sink.Deliver(items);
  CHECK(delivery.delivered == 1);
  REQUIRE(delivery.failed.size() == 1);
  CHECK(delivery.failed[0].number == 2);
  CHECK(delivery.failed[0].what == "the type 'new.kind' is not known");
  const std::atomic<bool> stop = true;
  CHECK_FALSE(RunWhatIf(sink.events(), {}, 1ms, stop));
}

}  // namespace gathering::replay
