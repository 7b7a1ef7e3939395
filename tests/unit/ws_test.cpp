// Frames of the WebSocket protocol: every rule of RFC 6455 section 5 to 8 that a server has to keep, whole,
// byte by byte and cut at random, always with the same result.
#include <catch2/catch.hpp>

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/ws/frames.h"
#include "daemon/ws/handshake.h"
#include "tests/support/ws_client_frames.h"

namespace gathering::ws {
namespace {

using test::CloseWords;
using test::Frame;

constexpr std::uint8_t kCont = 0, kTextOp = 1, kBinaryOp = 2, kCloseOp = 8, kPingOp = 9, kPongOp = 10;
constexpr DecoderLimits kLimits{.message_bytes_max = 70'000, .fragments_max = 300};

// What a decoder said, one word each: "text:…", "binary:…", "ping:…", "pong:…", "close:CODE:…",
// "failed:CODE".
std::string Hear(const std::string& bytes, const std::function<std::size_t()>& cut) {
  Decoder decoder{kLimits};
  std::string heard;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = std::min(cut(), bytes.size() - at);
    decoder.Append(std::string_view{bytes}.substr(at, size));
    at += size;
    for (Received received = decoder.Next(); received != Received::kNothing; received = decoder.Next()) {
      const std::string payload{decoder.payload()};
      const std::string code = std::to_string(decoder.close_code());
      switch (received) {
        case Received::kText:
          heard += "text:" + payload;
          break;
        case Received::kBinary:
          heard += "binary:" + payload;
          break;
        case Received::kPing:
          heard += "ping:" + payload;
          break;
        case Received::kPong:
          heard += "pong:" + payload;
          break;
        case Received::kClose:
          heard += "close:" + code + ":" + payload;
          break;
        case Received::kFailed:
          heard += "failed:" + code;
          break;
        case Received::kNothing:
          break;
      }
      heard += ' ';
    }
  }
  return heard;
}

int g_cases = 0;

// The same whatever the cuts.
void Expect(const std::string& bytes, const std::string& expected) {
  ++g_cases;
  const std::string whole = Hear(bytes, [&] { return bytes.size(); });
  if (whole != expected)
    FAIL("case " << g_cases << ": heard \"" << whole.substr(0, 200) << "\", expected \""
                 << expected.substr(0, 200) << '"');
  if (bytes.size() < 3'000 && Hear(bytes, [] { return std::size_t{1}; }) != expected)
    FAIL("case " << g_cases << ", byte by byte");
  std::mt19937 random{static_cast<unsigned>(g_cases)};
  for (int round = 0; round < 3; ++round) {
    if (Hear(bytes, [&] { return std::size_t{1} + random() % 700; }) != expected)
      FAIL("case " << g_cases << ", cut at random");
  }
}

}  // namespace

TEST_CASE("messages of every length come as they were sent", "[ws]") {
  for (const std::size_t size :
       {0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 128, 255, 256, 65'534, 65'535, 65'536, 70'000}) {
    const std::string payload(size, 'x');
    Expect(Frame({.opcode = kTextOp, .payload = payload}), "text:" + payload + " ");
    Expect(Frame({.opcode = kBinaryOp, .payload = payload}), "binary:" + payload + " ");
    Expect(Frame({.payload = payload}) + Frame({.payload = "next"}), "text:" + payload + " text:next ");
  }
}

TEST_CASE("pings and pongs come with their payload, of 125 bytes at most", "[ws]") {
  const std::string longest(125, '\xFE');
  for (const std::uint8_t opcode : {kPingOp, kPongOp}) {
    const std::string name = opcode == kPingOp ? "ping:" : "pong:";
    Expect(Frame({.opcode = opcode}), name + " ");
    Expect(Frame({.opcode = opcode, .payload = "hi"}), name + "hi ");
    Expect(Frame({.opcode = opcode, .payload = longest}), name + longest + " ");
    Expect(Frame({.opcode = opcode, .payload = longest + "x"}), "failed:1002 ");
    Expect(Frame({.opcode = opcode, .payload = "x", .final = false}), "failed:1002 ");
  }
  std::string ten;
  std::string expected;
  for (int i = 0; i < 10; ++i) {
    ten += Frame({.opcode = kPingOp, .payload = "p" + std::to_string(i)});
    expected += "ping:p" + std::to_string(i) + " ";
  }
  Expect(ten, expected);
}

TEST_CASE("reserved bits and opcodes are refused, whatever comes with them", "[ws]") {
  for (std::uint8_t bits = 1; bits < 8; ++bits) {
    for (const std::uint8_t opcode : {kTextOp, kBinaryOp, kCloseOp, kPingOp, kPongOp}) {
      Expect(Frame({.opcode = opcode, .reserved = bits}), "failed:1002 ");
      Expect(Frame({.payload = "before"}) + Frame({.opcode = opcode, .payload = "x", .reserved = bits}) +
                 Frame({.opcode = kPingOp}),
             "text:before failed:1002 ");
    }
  }
  for (const std::uint8_t opcode : std::initializer_list<std::uint8_t>{3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    Expect(Frame({.opcode = opcode}), "failed:1002 ");
    Expect(Frame({.opcode = opcode, .payload = "abc"}), "failed:1002 ");
    Expect(Frame({.payload = "a"}) + Frame({.opcode = opcode, .payload = "b"}) + Frame({.opcode = kPingOp}),
           "text:a failed:1002 ");
  }
}

TEST_CASE("what is not masked, or says its length in too many bytes, is refused", "[ws]") {
  for (const std::uint8_t opcode : {kTextOp, kBinaryOp, kCloseOp, kPingOp, kPongOp})
    Expect(Frame({.opcode = opcode, .payload = "ab", .masked = false}), "failed:1002 ");
  for (const std::size_t size : {0, 1, 125}) {
    const std::string payload(size, 'x');
    Expect(Frame({.payload = payload, .length_bytes = 2}), "failed:1002 ");
    Expect(Frame({.payload = payload, .length_bytes = 8}), "failed:1002 ");
  }
  for (const std::size_t size : {126, 127, 65'535}) {
    const std::string payload(size, 'x');
    Expect(Frame({.payload = payload, .length_bytes = 8}), "failed:1002 ");
  }
  Expect(Frame({.length_bytes = 8, .length = std::uint64_t{1} << 63}), "failed:1002 ");
  Expect(Frame({.length_bytes = 8, .length = UINT64_MAX - 1}), "failed:1002 ");
}

TEST_CASE("messages in pieces are put together, with control frames in between", "[ws]") {
  const auto piece = [](std::uint8_t opcode, std::string_view payload, bool final) {
    return Frame({.opcode = opcode, .payload = payload, .final = final});
  };
  Expect(piece(kTextOp, "a", false) + piece(kCont, "b", true), "text:ab ");
  Expect(piece(kBinaryOp, "a", false) + piece(kCont, "b", false) + piece(kCont, "c", true), "binary:abc ");
  Expect(piece(kTextOp, "", false) + piece(kCont, "", false) + piece(kCont, "", true), "text: ");
  Expect(piece(kTextOp, "", false) + piece(kCont, "mid", false) + piece(kCont, "", true), "text:mid ");
  Expect(piece(kTextOp, "a", false) + piece(kPingOp, "p", true) + piece(kCont, "b", true), "ping:p text:ab ");
  Expect(piece(kTextOp, "a", false) + piece(kPongOp, "", true) + piece(kPingOp, "q", true) +
             piece(kCont, "b", true),
         "pong: ping:q text:ab ");
  Expect(piece(kTextOp, "a", false) + piece(kCloseOp, CloseWords(1000), true), "close:1000: ");
  Expect(piece(kCont, "x", true), "failed:1002 ");
  Expect(piece(kCont, "x", false), "failed:1002 ");
  Expect(piece(kTextOp, "a", true) + piece(kCont, "x", true), "text:a failed:1002 ");
  Expect(piece(kTextOp, "a", false) + piece(kTextOp, "b", true), "failed:1002 ");
  Expect(piece(kTextOp, "a", false) + piece(kBinaryOp, "b", false), "failed:1002 ");
  Expect(piece(kTextOp, "a", false) + piece(kCont, "b", true) + piece(kCont, "c", true),
         "text:ab failed:1002 ");
  for (const std::size_t each : {1, 2, 3, 64, 1'000}) {
    std::string bytes;
    std::string all;
    const std::string part(each, 'y');
    for (int i = 0; i < 20; ++i) {
      bytes += piece(i == 0 ? kTextOp : kCont, part, i == 19);
      if (i % 7 == 3) bytes += piece(kPongOp, "", true);
      all += part;
    }
    Expect(bytes, "pong: pong: pong: text:" + all + " ");
  }
}

TEST_CASE("text that is UTF-8 comes, other text is refused by its first wrong byte", "[ws]") {
  const std::vector<std::string> good = {"\u00e9",
                                         "\u20ac",
                                         "\U0001F600",
                                         "\u0800",
                                         "\uFFFF",
                                         "\U00010000",
                                         "\U0010FFFF",
                                         "\uD7FF",
                                         "\uE000",
                                         "\u0080",
                                         "\u07FF",
                                         "Gr\u00fc\u00dfe \u4e16\u754c \U0001F30D!",
                                         std::string("a\0b", 3),
                                         "12345678\u00e912345678",
                                         "\uFEFFx",
                                         "\uFFFD",
                                         "\U0003FFFE"};
  for (const std::string& text : good) {
    Expect(Frame({.payload = text}), "text:" + text + " ");
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      Expect(Frame({.payload = std::string_view{text}.substr(0, cut), .final = false}) +
                 Frame({.opcode = kPingOp}) +
                 Frame({.opcode = kCont, .payload = std::string_view{text}.substr(cut)}),
             "ping: text:" + text + " ");
    }
  }
  const std::vector<std::string> bad = {"\x80",
                                        "\xBF",
                                        "\xC0\x80",
                                        "\xC1\xBF",
                                        "\xE0\x80\x80",
                                        "\xE0\x9F\xBF",
                                        "\xED\xA0\x80",
                                        "\xED\xBF\xBF",
                                        "\xF0\x80\x80\x80",
                                        "\xF0\x8F\xBF\xBF",
                                        "\xF4\x90\x80\x80",
                                        "\xF5\x80\x80\x80",
                                        "\xF8\x88\x80\x80\x80",
                                        "\xFC\x84\x80\x80\x80\x80",
                                        "\xFE",
                                        "\xFF",
                                        "\xC3(",
                                        "\xE2\x82(",
                                        "\xF0\x9F\x98(",
                                        "\xE2(\xA1",
                                        "ok \xCE\xBA\xE1\xBD\xB9\xED\xA0\x80 not"};
  for (const std::string& text : bad) {
    Expect(Frame({.payload = text}), "failed:1007 ");
    Expect(Frame({.payload = "12345678" + text + "12345678"}), "failed:1007 ");
    Expect(Frame({.payload = text, .final = false}), "failed:1007 ");
    Expect(Frame({.opcode = kBinaryOp, .payload = text}), "binary:" + text + " ");
    // Not all of the frame is here, and yet it is over.
    const std::string begun = Frame({.payload = text, .length_bytes = 2, .length = 1'000});
    Expect(begun, "failed:1007 ");
  }
  for (const std::string cut : {"\xC3", "\xE2\x82", "\xE2", "\xF0\x9F\x98", "\xF0\x9F", "\xF0", "abc\xC3"}) {
    Expect(Frame({.payload = cut}), "failed:1007 ");
    Expect(Frame({.payload = cut, .final = false}), "");
    Expect(Frame({.payload = cut, .final = false}) + Frame({.opcode = kCont}), "failed:1007 ");
  }
}

TEST_CASE("a close tells its code and reason, if they are allowed, and is the last that is heard", "[ws]") {
  Expect(Frame({.opcode = kCloseOp}), "close:1005: ");
  Expect(Frame({.opcode = kCloseOp, .payload = "x"}), "failed:1002 ");
  Expect(Frame({.opcode = kCloseOp, .payload = CloseWords(1000, "bye")}) + Frame({.payload = "more"}),
         "close:1000:bye ");
  Expect(Frame({.opcode = kCloseOp, .payload = CloseWords(1000, std::string(123, 'r'))}),
         "close:1000:" + std::string(123, 'r') + " ");
  Expect(Frame({.opcode = kCloseOp, .payload = CloseWords(1000, std::string(124, 'r'))}), "failed:1002 ");
  Expect(Frame({.opcode = kCloseOp, .payload = CloseWords(1000, "\xCE\xBA\xE1")}), "failed:1007 ");
  Expect(Frame({.opcode = kCloseOp, .payload = CloseWords(1000, "\xFF")}), "failed:1007 ");
  for (const std::uint16_t code : std::initializer_list<std::uint16_t>{
           1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999})
    Expect(Frame({.opcode = kCloseOp, .payload = CloseWords(code)}), "close:" + std::to_string(code) + ": ");
  for (const std::uint16_t code : std::initializer_list<std::uint16_t>{0, 1, 999, 1004, 1005, 1006, 1015,
                                                                       1016, 1100, 2000, 2999, 5000, 65'535})
    Expect(Frame({.opcode = kCloseOp, .payload = CloseWords(code)}), "failed:1002 ");
  Expect(Frame({.opcode = kCloseOp, .payload = CloseWords(1000), .final = false}), "failed:1002 ");
}

TEST_CASE("a message beyond its bounds is refused before it comes", "[ws]") {
  Expect(Frame({.length_bytes = 8, .length = 70'001}), "failed:1009 ");
  Expect(Frame({.length_bytes = 8, .length = (std::uint64_t{1} << 63) - 1}), "failed:1009 ");
  const std::string half(40'000, 'x');
  Expect(Frame({.payload = half, .final = false}) +
             Frame({.opcode = kCont, .length_bytes = 2, .length = 30'001}),
         "failed:1009 ");
  std::string pieces = Frame({.final = false});
  for (int i = 0; i < 299; ++i) pieces += Frame({.opcode = kCont, .final = false});
  Expect(pieces, "");
  Expect(pieces + Frame({.opcode = kCont}), "failed:1009 ");
}

TEST_CASE("noise never breaks a decoder, and its end is its end", "[ws]") {
  std::mt19937 random{11};
  for (int round = 0; round < 20'000; ++round) {
    Decoder decoder{{.message_bytes_max = 512, .fragments_max = 8}};
    std::string bytes(random() % 64, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    // Half of them begin like a frame.
    if (bytes.size() > 2 && round % 2 == 0) {
      bytes[0] = static_cast<char>(bytes[0] & 0x8F);
      bytes[1] = static_cast<char>(0x80 | (bytes[1] & 0x1F));
    }
    decoder.Append(bytes);
    bool over = false;
    for (Received received = decoder.Next(); received != Received::kNothing; received = decoder.Next()) {
      if (over || decoder.payload().size() > 512) FAIL("round " << round);
      over = received == Received::kClose || received == Received::kFailed;
    }
  }
}

TEST_CASE("a server's frames are whole and not masked, and a reason is cut between characters", "[ws]") {
  std::string out;
  AppendFrame(Opcode::kText, "hi", out);
  CHECK(out == std::string("\x81\x02hi", 4));
  out.clear();
  AppendFrame(Opcode::kText, std::string(126, 'x'), out);
  CHECK(out.substr(0, 4) == std::string("\x81\x7E\x00\x7E", 4));
  out.clear();
  AppendFrame(Opcode::kBinary, std::string(65'536, 'x'), out);
  CHECK(out.substr(0, 10) == std::string("\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10));
  out.clear();
  AppendClose(1008, std::string(122, 'r') + "\u00e9", out);
  CHECK(out.size() == 2 + 2 + 122);
  CHECK(out.substr(0, 4) == std::string("\x88\x7C\x03\xF0", 4));
}

TEST_CASE("a handshake is answered as the standard's example is, and nothing else passes for one", "[ws]") {
  using Fields = std::vector<http::Header>;
  const Fields fine = {{"Host", "x"},
                       {"Upgrade", "websocket"},
                       {"Connection", "Upgrade"},
                       {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                       {"Sec-WebSocket-Version", "13"}};
  const auto shake = [](const Fields& fields, http::Method method = http::Method::kGet,
                        std::uint8_t minor = 1) {
    http::Request request;
    request.method = method;
    request.minor_version = minor;
    request.headers = fields;
    return Shake(request);
  };
  CHECK(shake(fine).status == 101);
  CHECK(shake(fine).accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(shake(fine, http::Method::kPost).status == 400);
  CHECK(shake(fine, http::Method::kGet, 0).status == 400);
  const auto with = [&](std::string_view name, std::string_view value) {
    Fields fields = fine;
    for (auto& field : fields) {
      if (field.name == name) field.value = value;
    }
    return shake(fields).status;
  };
  const auto without = [&](std::string_view name) {
    Fields fields = fine;
    std::erase_if(fields, [&](const auto& field) { return field.name == name; });
    return shake(fields).status;
  };
  CHECK(with("Upgrade", "h2c, WebSocket") == 101);
  CHECK(with("Upgrade", "websockets") == 426);
  CHECK(with("Connection", "keep-alive, upgrade") == 101);
  CHECK(with("Connection", "keep-alive") == 400);
  CHECK(with("Sec-WebSocket-Version", "8") == 426);
  for (const char* const key :
       {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZQ=x",
        "dGhlIHNhbXBsZSBub25j*Q==", "dGhlIHNhbXBsZSBub25jZQ==AAAA"})
    CHECK(with("Sec-WebSocket-Key", key) == 400);
  CHECK(without("Upgrade") == 426);
  CHECK(without("Connection") == 400);
  CHECK(without("Sec-WebSocket-Key") == 400);
  CHECK(without("Sec-WebSocket-Version") == 426);
  Fields twice = fine;
  twice.push_back({"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="});
  CHECK(shake(twice).status == 400);
}

TEST_CASE("the cases above were some hundreds", "[ws]") {
  if (g_cases > 0) CHECK(g_cases > 400);
}

}  // namespace gathering::ws
