// What a client may and may not send over a WebSocket (RFC 6455 sections 5 to 8), rule by rule.  Every input
// is decoded whole, byte by byte and cut at random; what is heard must not depend on the cuts.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <iterator>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "daemon/ws/frames.h"

namespace gathering::ws {
namespace {

using Key = std::array<std::uint8_t, 4>;
constexpr Key kKey = {0x8D, 0x41, 0x00, 0xE6};

enum class Length : std::uint8_t { kShortest, kTwoBytes, kEightBytes };

// A frame as a client sends it, and the ways to get it wrong.
struct Wire {
  int opcode = 1;
  std::string_view payload = {};
  bool final = true;
  int reserved = 0;  // the three bits: 4, 2, 1
  bool masked = true;
  Length length = Length::kShortest;
  Key key = kKey;
};

std::string Head(const Wire& wire, std::uint64_t size) {
  Length length = wire.length;
  if (length == Length::kShortest && size > 125)
    length = size > 65'535 ? Length::kEightBytes : Length::kTwoBytes;
  const int extended = length == Length::kShortest ? 0 : length == Length::kTwoBytes ? 2 : 8;
  const std::uint64_t seven = extended == 0 ? size : extended == 2 ? 126 : 127;
  std::string out;
  out.push_back(static_cast<char>((wire.final ? 0x80 : 0) + wire.reserved * 16 + wire.opcode));
  out.push_back(static_cast<char>((wire.masked ? 0x80 : 0) + seven));
  for (int i = extended - 1; i >= 0; --i) out.push_back(static_cast<char>(size >> (8 * i)));
  if (wire.masked) out.append(wire.key.begin(), wire.key.end());
  return out;
}

std::string Bytes(const Wire& wire) {
  std::string out = Head(wire, wire.payload.size());
  std::size_t i = 0;
  for (const char c : wire.payload) {
    const int key = wire.masked ? wire.key[i++ % wire.key.size()] : 0;
    out.push_back(static_cast<char>(c ^ key));
  }
  return out;
}

std::string Text(std::string_view payload) {
  return Bytes({.payload = payload});
}
std::string Begin(int opcode, std::string_view payload) {
  return Bytes({.opcode = opcode, .payload = payload, .final = false});
}
std::string Middle(std::string_view payload) {
  return Bytes({.opcode = 0, .payload = payload, .final = false});
}
std::string End(std::string_view payload) {
  return Bytes({.opcode = 0, .payload = payload});
}
std::string Ping(std::string_view payload) {
  return Bytes({.opcode = 9, .payload = payload});
}
std::string Pong(std::string_view payload) {
  return Bytes({.opcode = 10, .payload = payload});
}
std::string CloseOf(std::string_view payload) {
  return Bytes({.opcode = 8, .payload = payload});
}
std::string CloseWith(int code, std::string_view reason = {}) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code)};
  return CloseOf(payload.append(reason));
}

struct Heard {
  Received what = Received::kNothing;
  std::string payload;
  int code = 0;  // of kClose and kFailed
  bool operator==(const Heard&) const = default;
};
using Story = std::vector<Heard>;

std::ostream& operator<<(std::ostream& out, const Heard& heard) {
  constexpr std::array<std::string_view, 7> kNames = {"nothing", "text",  "binary", "ping",
                                                      "pong",    "close", "failed"};
  return out << kNames[static_cast<std::size_t>(heard.what)] << ' ' << heard.code << " of "
             << heard.payload.size() << " bytes \"" << heard.payload.substr(0, 40) << '"';
}

Heard T(std::string_view payload) {
  return {Received::kText, std::string{payload}};
}
Heard B(std::string_view payload) {
  return {Received::kBinary, std::string{payload}};
}
Heard I(std::string_view payload) {
  return {Received::kPing, std::string{payload}};
}
Heard O(std::string_view payload) {
  return {Received::kPong, std::string{payload}};
}
Heard C(int code, std::string_view reason = {}) {
  return {Received::kClose, std::string{reason}, code};
}
Heard F(int code) {
  return {Received::kFailed, {}, code};
}

bool Ends(Received received) {
  return received == Received::kClose || received == Received::kFailed;
}

// Takes all that there is; what ends the story must say so properly.
void Listen(Decoder& decoder, Story& story) {
  for (Received what = decoder.Next(); what != Received::kNothing; what = decoder.Next()) {
    if (!story.empty() && Ends(story.back().what)) FAIL("something was heard after the end");
    story.push_back({what, std::string{decoder.payload()}, Ends(what) ? decoder.close_code() : 0});
    if ((what == Received::kFailed) != !decoder.detail().empty()) FAIL("a detail belongs to failures only");
  }
  if (!decoder.payload().empty()) FAIL("nothing has a payload");
}

Story Hear(std::string_view bytes, const DecoderLimits& limits, const std::function<std::size_t()>& cut) {
  Decoder decoder{limits};
  Story story;
  while (!bytes.empty()) {
    const std::string piece{bytes.substr(0, cut())};  // sanitizers see who reads beyond it
    decoder.Append(piece);
    Listen(decoder, story);
    bytes.remove_prefix(piece.size());
  }
  if (!story.empty() && Ends(story.back().what)) {
    decoder.Append(Ping("after the end"));
    Listen(decoder, story);
  }
  return story;
}

// The same story whatever the cuts.
void Check(const std::string& bytes, const Story& expected, const DecoderLimits& limits = {}) {
  CHECK(Hear(bytes, limits, [&] { return bytes.size(); }) == expected);
  if (Hear(bytes, limits, [] { return std::size_t{1}; }) != expected) FAIL_CHECK("not so byte by byte");
  std::mt19937 random{static_cast<unsigned>(bytes.size())};
  for (const std::size_t most : {3U, 9U, 40U, 2'000U}) {
    if (Hear(bytes, limits, [&] { return 1 + random() % most; }) != expected)
      FAIL_CHECK("not so in pieces of up to " << most);
  }
}

// Refused with the last byte and not before.
void CheckRefusedAtLast(const std::string& bytes, int code, const DecoderLimits& limits = {}) {
  Check(bytes, {F(code)}, limits);
  Check(bytes.substr(0, bytes.size() - 1), {}, limits);
}

constexpr std::array<int, 10> kReservedOpcodes = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};

struct Case {
  std::string_view name;
  std::string bytes;
  Story expected;
};

void CheckAll(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    INFO(one.name);
    Check(one.bytes, one.expected);
  }
}

// --- Framing ---

TEST_CASE("a payload is whole at each length where its header changes", "[ws]") {
  for (const std::size_t size :
       {0, 1, 124, 125, 126, 127, 128, 254, 255, 256, 32'767, 65'534, 65'535, 65'536}) {
    INFO(size << " bytes");
    const std::string text(size, '*');
    std::string binary(size, '\xFE');
    for (std::size_t i = 0; i < size; i += 7) binary[i] = static_cast<char>(i);
    Check(Text(text), {T(text)});
    Check(Bytes({.opcode = 2, .payload = binary}), {B(binary)});
    Check(Text(text) + Bytes({.opcode = 2, .payload = binary}) + Text("z"), {T(text), B(binary), T("z")});
  }
}

TEST_CASE("any key unmasks payloads of any alignment", "[ws]") {
  std::string payload(70, '\0');
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 37);
  for (const Key& key : {Key{0, 0, 0, 0}, Key{255, 255, 255, 255}, Key{1, 2, 3, 4}, Key{0x80, 0, 0, 1}}) {
    for (std::size_t size = 0; size <= payload.size(); ++size) {
      INFO(size << " bytes");
      const std::string_view part = std::string_view{payload}.substr(0, size);
      Check(Bytes({.opcode = 2, .payload = part, .key = key}), {B(part)});
    }
  }
}

TEST_CASE("a frame cut short is waited for", "[ws]") {
  for (const std::size_t size : {0, 5, 125, 126, 300}) {
    const std::string whole = Bytes({.opcode = 2, .payload = std::string(size, 'w')});
    for (std::size_t cut = 0; cut < whole.size(); cut += cut < 20 ? 1 : 50) {
      INFO(cut << " of " << whole.size());
      Check(whole.substr(0, cut), {});
    }
  }
}

TEST_CASE("a length in more bytes than it needs is refused by the length alone", "[ws]") {
  for (const int opcode : {1, 2}) {
    for (const std::uint64_t size : {0, 1, 124, 125}) {
      INFO("opcode " << opcode << ", " << size << " in two bytes");
      const std::string head = Head({.opcode = opcode, .length = Length::kTwoBytes}, size);
      CheckRefusedAtLast(head.substr(0, 4), kProtocolError);
    }
    for (const std::uint64_t size : {0, 1, 125, 126, 127, 65'534, 65'535}) {
      INFO("opcode " << opcode << ", " << size << " in eight bytes");
      const std::string head = Head({.opcode = opcode, .length = Length::kEightBytes}, size);
      CheckRefusedAtLast(head.substr(0, 10), kProtocolError);
    }
  }
}

TEST_CASE("a length of 64 bits is no length", "[ws]") {
  for (const std::uint64_t size : {std::uint64_t{1} << 63, (std::uint64_t{1} << 63) + 5, ~std::uint64_t{0}}) {
    INFO(size);
    CheckRefusedAtLast(Head({.opcode = 2}, size).substr(0, 10), kProtocolError);
  }
}

TEST_CASE("a client's frame without a mask is refused by its first two bytes", "[ws]") {
  for (const int opcode : {1, 2, 8, 9, 10}) {
    for (const std::size_t size : {0, 2, 125}) {
      INFO("opcode " << opcode << ", " << size << " bytes");
      const std::string payload(size, '\x03');
      const std::string bare = Bytes({.opcode = opcode, .payload = payload, .masked = false});
      Check(bare, {F(kProtocolError)});
      CheckRefusedAtLast(bare.substr(0, 2), kProtocolError);
      Check(Text("fine") + bare, {T("fine"), F(kProtocolError)});
      Check(Begin(1, "half") + bare, {F(kProtocolError)});
    }
  }
  Check(Begin(1, "half") + Bytes({.opcode = 0, .payload = "x", .masked = false}), {F(kProtocolError)});
}

// --- Pings and pongs ---

TEST_CASE("a ping or pong carries up to 125 bytes of any kind", "[ws]") {
  for (std::size_t size = 0; size <= 130; ++size) {
    INFO(size << " bytes");
    const std::string payload(size, size % 2 == 0 ? '\xFF' : 'p');  // need not be UTF-8
    Check(Ping(payload), size <= 125 ? Story{I(payload)} : Story{F(kProtocolError)});
    Check(Pong(payload), size <= 125 ? Story{O(payload)} : Story{F(kProtocolError)});
  }
}

TEST_CASE("a control frame's faults are seen in its first two bytes", "[ws]") {
  for (const int opcode : {8, 9, 10}) {
    INFO("opcode " << opcode);
    CheckRefusedAtLast(Bytes({.opcode = opcode, .final = false}).substr(0, 2), kProtocolError);
    CheckRefusedAtLast(Head({.opcode = opcode}, 126).substr(0, 2), kProtocolError);
    CheckRefusedAtLast(Head({.opcode = opcode}, 65'536).substr(0, 2), kProtocolError);
    CheckRefusedAtLast(Head({.opcode = opcode, .length = Length::kTwoBytes}, 5).substr(0, 2), kProtocolError);
  }
}

TEST_CASE("pings and pongs come in their order, asked for or not", "[ws]") {
  for (const int count : {1, 2, 10, 100}) {
    INFO(count);
    std::string bytes;
    Story expected;
    for (int i = 0; i < count; ++i) {
      const std::string name = "number " + std::to_string(i);
      bytes += i % 3 == 2 ? Pong(name) : Ping(name);
      expected.push_back(i % 3 == 2 ? O(name) : I(name));
    }
    Check(bytes, expected);
    bytes += Text("and a text");
    expected.push_back(T("and a text"));
    Check(bytes, expected);
  }
}

// --- What is reserved ---

TEST_CASE("a reserved bit is refused on every kind of frame, wherever it comes", "[ws]") {
  for (int bits = 1; bits <= 7; ++bits) {
    for (const int opcode : {1, 2, 8, 9, 10}) {
      for (const std::string_view payload : {"", "odd"}) {
        INFO("bits " << bits << ", opcode " << opcode << ", \"" << payload << '"');
        const std::string odd = Bytes({.opcode = opcode, .payload = payload, .reserved = bits});
        CheckRefusedAtLast(odd.substr(0, 2), kProtocolError);
        Check(odd + Ping(""), {F(kProtocolError)});
        Check(Text("first") + odd + Ping(""), {T("first"), F(kProtocolError)});
        Check(Begin(2, "first") + odd + End("last"), {F(kProtocolError)});
      }
    }
    INFO("bits " << bits << ", continuation");
    Check(Begin(1, "a") + Bytes({.opcode = 0, .payload = "b", .reserved = bits}), {F(kProtocolError)});
  }
}

TEST_CASE("a reserved opcode is refused, wherever it comes", "[ws]") {
  for (const int opcode : kReservedOpcodes) {
    for (const bool final : {true, false}) {
      for (const std::string_view payload : {"", "odd"}) {
        INFO("opcode " << opcode << (final ? ", final, \"" : ", \"") << payload << '"');
        const std::string odd = Bytes({.opcode = opcode, .payload = payload, .final = final});
        CheckRefusedAtLast(odd.substr(0, 2), kProtocolError);
        Check(odd + Ping(""), {F(kProtocolError)});
        Check(Text("first") + odd + Ping(""), {T("first"), F(kProtocolError)});
        Check(Begin(1, "first") + odd + End("last"), {F(kProtocolError)});
      }
    }
  }
}

// --- Fragments ---

TEST_CASE("fragments become the message that was meant", "[ws]") {
  CheckAll({
      {"text in two", Begin(1, "ab") + End("cd"), {T("abcd")}},
      {"binary in two", Begin(2, "\xFF\x80") + End("\xC0"), {B("\xFF\x80\xC0")}},
      {"in three", Begin(1, "ab") + Middle("cd") + End("ef"), {T("abcdef")}},
      {"all empty", Begin(1, "") + Middle("") + End(""), {T("")}},
      {"all empty, binary", Begin(2, "") + End(""), {B("")}},
      {"only the first has bytes", Begin(1, "ab") + Middle("") + End(""), {T("ab")}},
      {"only the middle has bytes", Begin(1, "") + Middle("ab") + End(""), {T("ab")}},
      {"only the last has bytes", Begin(1, "") + Middle("") + End("ab"), {T("ab")}},
      {"one message, then another", Begin(1, "a") + End("b") + Begin(2, "c") + End("d"), {T("ab"), B("cd")}},
      {"a fragmented one between whole ones",
       Text("a") + Begin(2, "b") + End("c") + Text("d"),
       {T("a"), B("bc"), T("d")}},
      {"text after binary is text again, and checked",
       Begin(2, "\xFF") + End("") + Text("\xFF"),
       {B("\xFF"), F(kInvalidText)}},
      {"binary after text is not checked",
       Begin(1, "a") + End("") + Bytes({.opcode = 2, .payload = "\xFF"}),
       {T("a"), B("\xFF")}},
      {"the end does not come", Begin(1, "a") + Middle("b"), {}},
  });
  for (const std::size_t each : {1U, 2U, 3U, 5U, 8U, 125U, 126U, 1'000U}) {
    INFO("fragments of " << each);
    std::string text;
    for (int i = 0; text.size() < 6'000; ++i) text += std::to_string(i);
    std::string bytes = Begin(1, std::string_view{text}.substr(0, each));
    std::size_t frames = 1;
    std::size_t at = each;
    for (; at + each < text.size() && frames < 1'000; at += each, ++frames)
      bytes += Bytes({.opcode = 0,
                      .payload = std::string_view{text}.substr(at, each),
                      .final = false,
                      .key = {static_cast<std::uint8_t>(at), 7, 99, static_cast<std::uint8_t>(frames)}});
    bytes += End(std::string_view{text}.substr(at));
    Check(bytes, {T(text)});
  }
}

TEST_CASE("control frames come between fragments and leave them alone", "[ws]") {
  const std::string longest(125, '\xFE');
  CheckAll({
      {"a ping", Begin(1, "a") + Ping("p") + End("b"), {I("p"), T("ab")}},
      {"an empty ping", Begin(1, "a") + Ping("") + End("b"), {I(""), T("ab")}},
      {"the longest ping", Begin(1, "a") + Ping(longest) + End("b"), {I(longest), T("ab")}},
      {"a pong", Begin(2, "a") + Pong("p") + End("b"), {O("p"), B("ab")}},
      {"several",
       Begin(1, "a") + Ping("1") + Ping("2") + Pong("3") + End("b"),
       {I("1"), I("2"), O("3"), T("ab")}},
      {"in every gap",
       Begin(1, "a") + Ping("1") + Middle("b") + Ping("2") + Middle("c") + Ping("3") + End("d"),
       {I("1"), I("2"), I("3"), T("abcd")}},
      {"around empty fragments",
       Begin(1, "") + Ping("1") + Middle("") + Pong("2") + End(""),
       {I("1"), O("2"), T("")}},
      {"within a character",
       Begin(1, "\xE2\x82") + Ping("\xFF") + End("\xAC"),
       {I("\xFF"), T("\xE2\x82\xAC")}},
      {"a close", Begin(1, "a") + CloseWith(1000, "bye") + End("b"), {C(1000, "bye")}},
      {"a close within a character", Begin(1, "\xE2\x82") + CloseWith(1001), {C(1001)}},
      {"a bad close", Begin(1, "a") + CloseOf("x"), {F(kProtocolError)}},
      {"a fragmented ping", Begin(1, "a") + Begin(9, "p") + End("b"), {F(kProtocolError)}},
      {"a fragmented ping alone", Begin(9, "p") + End("q"), {F(kProtocolError)}},
      {"a fragmented pong", Begin(10, "p") + End("q"), {F(kProtocolError)}},
  });
}

TEST_CASE("a fragment out of place is refused", "[ws]") {
  for (const std::string_view payload : {"", "x"}) {
    for (const bool final : {true, false}) {
      INFO('"' << payload << '"' << (final ? ", final" : ""));
      const std::string stray = Bytes({.opcode = 0, .payload = payload, .final = final});
      CheckRefusedAtLast(stray.substr(0, 2), kProtocolError);
      Check(stray + Text("after"), {F(kProtocolError)});
      Check(Text("a") + stray, {T("a"), F(kProtocolError)});
      Check(Ping("a") + stray, {I("a"), F(kProtocolError)});
      Check(Begin(1, "a") + End("b") + stray, {T("ab"), F(kProtocolError)});
      Check(Begin(2, "a") + Ping("p") + End("b") + stray, {I("p"), B("ab"), F(kProtocolError)});
      for (const int begun : {1, 2}) {
        for (const int opcode : {1, 2}) {
          const std::string second = Bytes({.opcode = opcode, .payload = payload, .final = final});
          Check(Begin(begun, "a") + second, {F(kProtocolError)});
          Check(Begin(begun, "a") + Middle("b") + second, {F(kProtocolError)});
          Check(Begin(begun, "a") + Pong("p") + second, {O("p"), F(kProtocolError)});
          Check(Begin(begun, "") + second, {F(kProtocolError)});
        }
      }
    }
  }
}

// --- UTF-8 ---

const std::vector<std::string> kGoodTexts = {
    std::string(1, '\0'),
    "\x7F",
    "\xC2\x80",          // U+0080, the first of two bytes
    "\xDF\xBF",          // U+07FF, the last
    "\xE0\xA0\x80",      // U+0800, the first of three
    "\xED\x9F\xBF",      // U+D7FF, before the surrogates
    "\xEE\x80\x80",      // U+E000, behind them
    "\xEF\xBF\xBD",      // U+FFFD
    "\xEF\xBF\xBE",      // U+FFFE, no character and yet allowed
    "\xEF\xBF\xBF",      // U+FFFF, the last of three
    "\xEF\xBB\xBF",      // U+FEFF
    "\xF0\x90\x80\x80",  // U+10000, the first of four
    "\xF0\x9F\xBF\xBF",  // U+1FFFF
    "\xF3\xBF\xBF\xBF",  // U+FFFFF
    "\xF4\x8F\xBF\xBF",  // U+10FFFF, the last of all
    "z\xC3\xA9ro \xE2\x82\xAC \xF0\x9D\x84\x9E!",
    "eight by\xCE\xBA\xCE\xBB\xCE\xBC\xCE\xBDtes and more",
    "\xF0\x9F\x99\x82\xF0\x9F\x99\x83\xF0\x9F\x99\x84",
};

TEST_CASE("text may hold every character, cut anywhere into fragments", "[ws]") {
  for (const std::string& text : kGoodTexts) {
    INFO(text);
    Check(Text(text), {T(text)});
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
      Check(Begin(1, text.substr(0, cut)) + Ping("") + End(text.substr(cut)), {I(""), T(text)});
    std::string bytes = Begin(1, "");
    for (const char c : text) bytes += Middle(std::string_view{&c, 1});
    Check(bytes + End(""), {T(text)});
  }
}

std::string Utf8Of(std::uint32_t point) {
  const auto low = [&](int shift) { return static_cast<char>(0x80 | ((point >> shift) & 0x3F)); };
  if (point < 0x80) return {static_cast<char>(point)};
  if (point < 0x800) return {static_cast<char>(0xC0 | point >> 6), low(0)};
  if (point < 0x10000) return {static_cast<char>(0xE0 | point >> 12), low(6), low(0)};
  return {static_cast<char>(0xF0 | point >> 18), low(12), low(6), low(0)};
}

TEST_CASE("each of Unicode's scalar values is text and each surrogate is not", "[ws]") {
  constexpr std::uint32_t kBlock = 0x800;
  for (std::uint32_t block = 0; block < 0x110000; block += kBlock) {
    INFO("from " << block);
    if (block == 0xD800) {
      for (std::uint32_t point = block; point < block + kBlock; ++point) {
        const std::string bytes = Text(Utf8Of(point));
        if (Hear(bytes, {}, [&] { return bytes.size(); }) != Story{F(kInvalidText)}) FAIL(point);
      }
      continue;
    }
    std::string text;
    for (std::uint32_t point = block; point < block + kBlock; ++point) text += Utf8Of(point);
    const std::string bytes = Text(text);
    CHECK(Hear(bytes, {}, [&] { return std::size_t{511}; }) == Story{T(text)});
  }
}

struct BadText {
  std::string_view bytes;  // of which the last is the one that cannot be
  std::string_view name;
};
constexpr BadText kBadTexts[] = {
    {"\x80", "a continuation of nothing"},
    {"\xBF", "the last continuation of nothing"},
    {"a\x80", "a continuation after ASCII"},
    {"\xC3\xA9\x80", "a continuation too many, after two"},
    {"\xE2\x82\xAC\x80", "a continuation too many, after three"},
    {"\xF0\x9F\x99\x82\x80", "a continuation too many, after four"},
    {"\xC0", "an overlong lead"},
    {"\xC1", "another overlong lead"},
    {"\xE0\x80", "overlong in three, from the bottom"},
    {"\xE0\x9F", "overlong in three, to the top"},
    {"\xF0\x80", "overlong in four, from the bottom"},
    {"\xF0\x8F", "overlong in four, to the top"},
    {"\xED\xA0", "a high surrogate"},
    {"\xED\xAF", "the last high surrogate"},
    {"\xED\xB0", "a low surrogate"},
    {"\xED\xBF", "the last low surrogate"},
    {"\xF4\x90", "beyond U+10FFFF"},
    {"\xF4\xBF", "far beyond U+10FFFF"},
    {"\xF5", "a lead of planes that are not"},
    {"\xF7", "the last lead of four"},
    {"\xF8", "a lead of five"},
    {"\xFB", "the last lead of five"},
    {"\xFC", "a lead of six"},
    {"\xFD", "the last lead of six"},
    {"\xFE", "half a byte order mark"},
    {"\xFF", "the other half"},
    {"\xC3(", "ASCII instead of a second byte"},
    {"\xE2(", "ASCII instead of a second byte of three"},
    {"\xE2\x82(", "ASCII instead of a third byte"},
    {"\xF0(", "ASCII instead of a second byte of four"},
    {"\xF0\x9F(", "ASCII instead of a third byte of four"},
    {"\xF0\x9F\x99(", "ASCII instead of a fourth byte"},
    {"\xC3\xC3", "a lead instead of a second byte"},
    {"\xE2\x82\xE2", "a lead instead of a third byte"},
    {"\xF0\x9F\x99\xF0", "a lead instead of a fourth byte"},
    {"\xE2\x82\xFF", "a byte that never is, within a character"},
};

TEST_CASE("text is refused with the first byte that cannot be, whatever is still to come", "[ws]") {
  for (const auto& [bad, name] : kBadTexts) {
    INFO(name);
    for (const std::string_view before :
         {"", "seven b", "eight by", "nine byte", "\xF0\x9F\x99\x82\xC3\xA9"}) {
      const std::string text = std::string{before}.append(bad);
      Check(Text(text + "and more"), {F(kInvalidText)});
      // Of a frame of which only this much has come.
      CheckRefusedAtLast(Bytes({.payload = text + std::string(300, 'm')}).substr(0, 8 + text.size()),
                         kInvalidText);
      CheckRefusedAtLast(Bytes({.payload = text, .final = false}), kInvalidText);
      for (std::size_t cut = 0; cut < text.size(); ++cut)
        CheckRefusedAtLast(Begin(1, text.substr(0, cut)) + Middle(text.substr(cut)), kInvalidText);
      Check(Bytes({.opcode = 2, .payload = text}), {B(text)});
    }
  }
}

TEST_CASE("text that ends within a character is refused at its end", "[ws]") {
  for (const std::string& text : kGoodTexts) {
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      if (IsUtf8(text.substr(0, cut))) continue;
      const std::string part = text.substr(0, cut);
      INFO(part);
      CheckRefusedAtLast(Text(part), kInvalidText);
      Check(Begin(1, part), {});
      CheckRefusedAtLast(Begin(1, part) + End(""), kInvalidText);
      CheckRefusedAtLast(Begin(1, "") + Middle(part) + Middle("") + End(""), kInvalidText);
    }
  }
}

// Whether there is text that begins so.
bool CanGoOn(const std::string& begun) {
  if (IsUtf8(begun)) return true;
  for (const std::string_view second : {"\x80", "\x90", "\xA0"}) {
    for (const std::string_view more : {"", "\x80", "\x80\x80"}) {
      if (IsUtf8(begun + std::string{second}.append(more))) return true;
    }
  }
  return false;
}

TEST_CASE("any two bytes, and what may follow them, are judged as the standard does", "[ws]") {
  const auto heard = [](const std::string& bytes) { return Hear(bytes, {}, [&] { return bytes.size(); }); };
  for (unsigned pair = 0; pair < 65'536; ++pair) {
    for (const std::string_view more : {"", "\x80", "\xBF\x80", "x"}) {
      const std::string text =
          std::string{static_cast<char>(pair >> 8), static_cast<char>(pair)}.append(more);
      if (heard(Text(text)) != (IsUtf8(text) ? Story{T(text)} : Story{F(kInvalidText)}))
        FAIL(pair << " and " << more.size() << ", whole");
      if (heard(Begin(1, text)) != (CanGoOn(text) ? Story{} : Story{F(kInvalidText)}))
        FAIL(pair << " and " << more.size() << ", begun");
    }
  }
}

// --- Close ---

TEST_CASE("a close code is taken when it may be sent, and refused otherwise", "[ws]") {
  const auto may_be_sent = [](int code) {
    constexpr std::array<std::array<int, 2>, 4> kAllowed = {
        {{1000, 1003}, {1007, 1014}, {3000, 3999}, {4000, 4999}}};
    return std::ranges::any_of(kAllowed,
                               [&](const auto& range) { return code >= range[0] && code <= range[1]; });
  };
  std::vector<int> codes = {9'999, 32'767, 32'768, 65'534, 65'535};
  for (int code = 0; code <= 5'100; ++code) codes.push_back(code);
  for (const int code : codes) {
    INFO(code);
    Check(CloseWith(code, "why"), {may_be_sent(code) ? C(code, "why") : F(kProtocolError)});
  }
  for (const int code : {1000, 1003, 1007, 1014, 3000, 4999}) Check(CloseWith(code), {C(code)});
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000}) {
    INFO(code);
    Check(CloseWith(code), {F(kProtocolError)});
  }
}

TEST_CASE("a close may have a code and a reason in UTF-8, of 125 bytes together", "[ws]") {
  CheckAll({
      {"nothing", CloseOf(""), {C(kNoStatus)}},
      {"half a code", CloseOf("\x03"), {F(kProtocolError)}},
      {"a code", CloseWith(1000), {C(1000)}},
      {"a reason", CloseWith(1000, "bye"), {C(1000, "bye")}},
      {"a reason of one byte", CloseWith(4000, "b"), {C(4000, "b")}},
      {"a reason beyond ASCII", CloseWith(1001, "\xE2\x82\xAC"), {C(1001, "\xE2\x82\xAC")}},
      {"the longest reason", CloseWith(1000, std::string(123, 'r')), {C(1000, std::string(123, 'r'))}},
      {"a reason too long", CloseWith(1000, std::string(124, 'r')), {F(kProtocolError)}},
      {"a reason that is no text", CloseWith(1000, "\xFF"), {F(kInvalidText)}},
      {"a reason that ends within a character", CloseWith(1000, "abc\xE2\x82"), {F(kInvalidText)}},
      {"a reason with a surrogate", CloseWith(1000, "\xED\xA0\x80"), {F(kInvalidText)}},
      {"a bad code before a bad reason", CloseWith(1005, "\xFF"), {F(kProtocolError)}},
      {"in fragments", Begin(8, "\x03\xE8") + End(""), {F(kProtocolError)}},
  });
  for (const auto& [bad, name] : kBadTexts) {
    INFO(name);
    Check(CloseWith(1000, std::string{"so: "}.append(bad)), {F(kInvalidText)});
  }
  for (const std::string& text : kGoodTexts) {
    INFO(text);
    Check(CloseWith(1000, text), {C(1000, text)});
  }
}

TEST_CASE("behind a close or a failure nothing is heard", "[ws]") {
  const std::string big(5'000, 'b');
  CheckAll({
      {"a text", CloseWith(1000) + Text("x"), {C(1000)}},
      {"a long text", CloseWith(1000) + Text(big), {C(1000)}},
      {"a ping", CloseWith(1000) + Ping("x"), {C(1000)}},
      {"another close", CloseWith(1000) + CloseWith(1001), {C(1000)}},
      {"nonsense", CloseWith(1000) + "\xFF\xFF\xFF", {C(1000)}},
      {"before the close", Text("a") + Ping("p") + CloseWith(1000) + Text("x"), {T("a"), I("p"), C(1000)}},
      {"a close after a failure", End("x") + CloseWith(1000), {F(kProtocolError)}},
      {"a long text after a failure", Text("\xFF") + Text(big), {F(kInvalidText)}},
      {"one failure after another", Text("\xFF") + End("x"), {F(kInvalidText)}},
  });
}

TEST_CASE("what was said at the end stays known", "[ws]") {
  Decoder decoder{{}};
  decoder.Append(CloseWith(4321, "so"));
  REQUIRE(decoder.Next() == Received::kClose);
  CHECK(decoder.payload() == "so");
  for (int i = 0; i < 3; ++i) {
    CHECK(decoder.Next() == Received::kNothing);
    CHECK(decoder.payload().empty());
    CHECK(decoder.close_code() == 4321);
    decoder.Append(Text("more"));
  }
}

// --- Limits ---

TEST_CASE("a message beyond the limit is refused by the header that says so", "[ws]") {
  constexpr DecoderLimits kSmall{.message_bytes_max = 1'000, .fragments_max = 5};
  const auto announced = [](int opcode, std::uint64_t size) {  // without the key
    const std::string head = Head({.opcode = opcode}, size);
    return head.substr(0, head.size() - 4);
  };
  for (const std::uint64_t size : {std::uint64_t{1'001}, std::uint64_t{65'535}, std::uint64_t{65'536},
                                   std::uint64_t{1} << 32, (std::uint64_t{1} << 63) - 1}) {
    INFO(size);
    for (const int opcode : {1, 2}) CheckRefusedAtLast(announced(opcode, size), kTooBig, kSmall);
    CheckRefusedAtLast(Begin(2, "") + announced(0, size), kTooBig, kSmall);
    CheckRefusedAtLast(Begin(2, "x") + Middle("y") + announced(0, size), kTooBig, kSmall);
    Check(Text("a") + announced(1, size), {T("a"), F(kTooBig)}, kSmall);
  }
  for (const std::size_t first : {1, 500, 875, 999, 1'000}) {
    INFO("first " << first);
    const std::string begin = Begin(2, std::string(first, 'a'));
    const std::string rest(1'000 - first, 'b');
    Check(begin + End(rest), {B(std::string(first, 'a') + rest)}, kSmall);
    CheckRefusedAtLast(begin + announced(0, rest.size() + 1), kTooBig, kSmall);
  }
}

TEST_CASE("the limits hold for one message, and control frames do not count", "[ws]") {
  constexpr DecoderLimits kSmall{.message_bytes_max = 10, .fragments_max = 3};
  const std::string ten(10, 't');
  const std::string many(125, 'c');
  Check(Text(ten) + Text(ten) + Text(ten), {T(ten), T(ten), T(ten)}, kSmall);
  Check(Ping(many) + Text(ten), {I(many), T(ten)}, kSmall);
  Check(Begin(1, "ttttt") + Ping(many) + Pong(many) + Ping("") + Ping("") + Middle("") + End("ttttt"),
        {I(many), O(many), I(""), I(""), T(ten)}, kSmall);
  const std::string three = Begin(1, "a") + Middle("b") + End("c");
  Check(three + three, {T("abc"), T("abc")}, kSmall);
  Check(Begin(1, "") + Middle("") + Middle(""), {}, kSmall);
  CheckRefusedAtLast(Begin(1, "") + Middle("") + Middle("") + End("").substr(0, 2), kTooBig, kSmall);
  Check(three + Begin(2, "a") + Middle("b") + Middle("c") + Middle("d"), {T("abc"), F(kTooBig)}, kSmall);
  Check(Text(""), {T("")}, {.message_bytes_max = 0, .fragments_max = 1});
  Check(Text("x"), {F(kTooBig)}, {.message_bytes_max = 0, .fragments_max = 1});
}

TEST_CASE("the limits without being told are 65,536 bytes and 1,024 fragments", "[ws]") {
  const std::string most(65'536, 'm');
  Check(Text(most), {T(most)});
  Check(Text(most + 'm'), {F(kTooBig)});
  std::string bytes = Begin(2, "f");
  for (int i = 2; i < 1'024; ++i) bytes += Middle("f");
  Check(bytes + End("f"), {B(std::string(1'024, 'f'))});
  Check(bytes + Middle("f") + End("f"), {F(kTooBig)});
}

// --- Noise ---

std::string Noise(std::mt19937& random) {
  std::string bytes(random() % 200, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

// Frames in the right order, mostly, and one bit in four streams turned.
std::string NearlyRight(std::mt19937& random) {
  std::string bytes;
  bool begun = false;
  for (auto frames = 1 + random() % 6; frames > 0; --frames) {
    const std::string payload(random() % 3 == 0 ? random() % 400 : random() % 20, 'n');
    Key key{};
    for (std::uint8_t& k : key) k = static_cast<std::uint8_t>(random());
    if (random() % 3 == 0) {
      bytes += Bytes(
          {.opcode = static_cast<int>(9 + random() % 2), .payload = payload.substr(0, 125), .key = key});
      continue;
    }
    const bool final = random() % 2 == 0;
    const int opcode = begun ? 0 : static_cast<int>(1 + random() % 2);
    bytes += Bytes({.opcode = opcode, .payload = payload, .final = final, .key = key});
    begun = !final;
  }
  if (random() % 4 == 0) {
    char& turned = bytes[random() % bytes.size()];
    turned = static_cast<char>(turned ^ (1 << random() % 8));
  }
  return bytes;
}

TEST_CASE("noise is heard the same whatever the cuts and never beyond the limits", "[ws]") {
  constexpr DecoderLimits kSmall{.message_bytes_max = 512, .fragments_max = 4};
  std::mt19937 random{20'260'101};
  std::size_t messages = 0;
  std::size_t failures = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string bytes = round % 2 == 0 ? Noise(random) : NearlyRight(random);
    const Story whole = Hear(bytes, kSmall, [&] { return bytes.size(); });
    if (whole != Hear(bytes, kSmall, [&] { return 1 + random() % 30; })) FAIL("round " << round);
    for (const Heard& heard : whole) {
      const bool is_message = heard.what == Received::kText || heard.what == Received::kBinary;
      if (heard.payload.size() > (is_message ? 512U : 125U)) FAIL("round " << round << ": too long");
      if (heard.what == Received::kText && !IsUtf8(heard.payload)) FAIL("round " << round << ": no text");
      messages += is_message ? 1 : 0;
      failures += heard.what == Received::kFailed ? 1 : 0;
    }
  }
  CHECK(messages > 5'000);  // it was not all refused at once
  CHECK(failures > 5'000);
}

// --- What the server sends ---

struct Sent {
  std::size_t size;
  std::string_view head;
};

TEST_CASE("the server's frames are final, unmasked and of the shortest length", "[ws]") {
  using namespace std::string_view_literals;
  constexpr Sent kSent[] = {
      {0, "\x82\x00"sv},
      {1, "\x82\x01"sv},
      {125, "\x82\x7D"sv},
      {126, "\x82\x7E\x00\x7E"sv},
      {127, "\x82\x7E\x00\x7F"sv},
      {256, "\x82\x7E\x01\x00"sv},
      {65'535, "\x82\x7E\xFF\xFF"sv},
      {65'536, "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"sv},
      {1'234'567, "\x82\x7F\x00\x00\x00\x00\x00\x12\xD6\x87"sv},
  };
  for (const Sent& sent : kSent) {
    INFO(sent.size);
    const std::string payload(sent.size, 's');
    std::string out = "before";
    AppendFrame(Opcode::kBinary, payload, out);
    const std::string expected = std::string{"before"}.append(sent.head).append(payload);
    if (out != expected) FAIL_CHECK("begins " << out.substr(0, 20));
  }
  for (const Opcode opcode : {Opcode::kText, Opcode::kBinary, Opcode::kClose, Opcode::kPing, Opcode::kPong}) {
    std::string out;
    AppendFrame(opcode, "o", out);
    CHECK(out == std::string{static_cast<char>(0x80 | static_cast<int>(opcode)), '\x01', 'o'});
  }
}

// A server's frame as a client would have sent it.
std::string Masked(std::string_view frame) {
  const int seven = static_cast<std::uint8_t>(frame[1]);
  const std::size_t head = seven == 127 ? 10 : seven == 126 ? 4 : 2;
  std::string out{frame.substr(0, head)};
  out[1] = static_cast<char>(seven | 0x80);
  out.append(kKey.begin(), kKey.end());
  for (std::size_t i = head; i < frame.size(); ++i)
    out.push_back(static_cast<char>(frame[i] ^ kKey[(i - head) % kKey.size()]));
  return out;
}

TEST_CASE("what the server's encoder writes, its decoder reads once it is masked", "[ws]") {
  for (const std::size_t size : {0, 1, 2, 125, 126, 127, 128, 1'000, 65'535, 65'536}) {
    INFO(size);
    const std::string payload(size, 'r');
    std::string text;
    AppendFrame(Opcode::kText, payload, text);
    Check(Masked(text), {T(payload)});
    std::string binary;
    AppendFrame(Opcode::kBinary, payload, binary);
    Check(Masked(binary), {B(payload)});
    if (size > 125) continue;
    std::string ping;
    AppendFrame(Opcode::kPing, payload, ping);
    std::string pong;
    AppendFrame(Opcode::kPong, payload, pong);
    Check(Masked(ping) + Masked(pong), {I(payload), O(payload)});
  }
}

TEST_CASE("the server's close carries what fits of its reason, in whole characters", "[ws]") {
  for (const std::string_view character : {"r", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x99\x82"}) {
    for (std::size_t before = 0; before < 4; ++before) {
      std::string reason(before, '-');
      for (; reason.size() < 140; reason.append(character)) {
        INFO(character << ", " << reason.size());
        std::string out;
        AppendClose(1011, reason, out);
        // As many characters as there is room for.
        std::size_t size = reason.size();
        while (size > 123) size -= character.size();
        const std::string expected = reason.substr(0, size);
        CHECK(Hear(Masked(out), {}, [&] { return out.size() + 4; }) == Story{C(1011, expected)});
      }
    }
  }
  std::string out = "before";
  AppendClose(1000, {}, out);
  CHECK(out == "before\x88\x02\x03\xE8");
  out.clear();
  AppendClose(4999, "so", out);
  CHECK(out == "\x88\x04\x13\x87so");
  out.clear();
  AppendClose(1000, std::string_view{"so\x80"}.substr(0, 2),
              out);  // nothing is cut: what lies behind is not looked at
  CHECK(out == "\x88\x04\x03\xE8so");
  out.clear();
  AppendClose(1000, std::string(200, '\x80'), out);  // no character to cut at
  CHECK(out == "\x88\x02\x03\xE8");
}

}  // namespace
}  // namespace gathering::ws
