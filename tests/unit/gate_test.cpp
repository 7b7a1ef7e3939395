#include "daemon/http/gate.h"

#include <catch2/catch.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/hostile_requests.h"

namespace gathering::http {
namespace {

using Verdict = Gate::Verdict;

struct Reading {
  Verdict verdict = Verdict::kMore;
  int status = 0;  // of a refusal
  std::string path, query, body;
  std::size_t headers = 0;
  std::string rest;  // behind the request
  bool operator==(const Reading&) const = default;
};

Verdict Step(Gate& gate, std::string& buffer) {
  Verdict verdict = gate.Feed(buffer);
  while (verdict == Verdict::kHead) verdict = gate.Feed(buffer);
  return verdict;
}

Reading Summary(const Gate& gate, Verdict verdict, const std::string& buffer) {
  Reading reading;
  reading.verdict = verdict;
  if (verdict == Verdict::kRefused) reading.status = gate.status();
  if (verdict == Verdict::kRequest) {
    Request request;
    gate.Describe(buffer, request);
    reading.path = request.path;
    reading.query = request.query;
    reading.body = request.body;
    reading.headers = request.headers.size();
    reading.rest = buffer.substr(gate.end());
  }
  return reading;
}

Reading ReadAtOnce(const HttpLimits& limits, std::string bytes) {
  Gate gate{limits};
  const Verdict verdict = Step(gate, bytes);
  return Summary(gate, verdict, bytes);
}

// The parts up to `cut` first, the rest then, one byte at a time.
Reading ReadInPieces(const HttpLimits& limits, const std::string& bytes, std::size_t cut) {
  Gate gate{limits};
  std::string buffer = bytes.substr(0, cut);
  Verdict verdict = Step(gate, buffer);
  std::size_t i = cut;
  for (; i < bytes.size() && verdict == Verdict::kMore; ++i) {
    buffer.push_back(bytes[i]);
    verdict = Step(gate, buffer);
  }
  buffer.append(bytes, i, std::string::npos);
  return Summary(gate, verdict, buffer);
}

const std::string kHost = "Host: localhost\r\n";

int StatusOf(const HttpLimits& limits, const std::string& bytes) {
  const Reading reading = ReadAtOnce(limits, bytes);
  REQUIRE(reading.verdict != Verdict::kMore);
  return reading.verdict == Verdict::kRequest ? 200 : reading.status;
}

TEST_CASE("what a hostile request is answered does not depend on how its bytes are cut", "[gate]") {
  const HttpLimits limits;
  for (const test::HostileRequest& row : test::HostileRequests()) {
    INFO(row.what);
    const Reading whole = ReadAtOnce(limits, row.bytes);
    REQUIRE(whole.verdict != Verdict::kMore);
    const bool refusal_expected = std::count(row.allowed.begin(), row.allowed.end(), whole.status) == 1;
    const bool answer_expected = row.allowed.front() < 300;
    CHECK((whole.verdict == Verdict::kRefused ? refusal_expected : answer_expected));
    for (std::size_t cut = 0; cut < row.bytes.size(); cut += cut < 64 ? 1 : 7) {
      INFO("cut at " << cut);
      REQUIRE(ReadInPieces(limits, row.bytes, cut) == whole);
    }
  }
}

TEST_CASE("a request in any two pieces reads like the whole", "[gate]") {
  const HttpLimits limits;
  const std::string bytes =
      "POST /a/b?c=d&e HTTP/1.1\r\nHost: localhost:80\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\nGET /next HTTP/1.1\r\n";
  const Reading whole = ReadAtOnce(limits, bytes);
  CHECK(whole.verdict == Verdict::kRequest);
  CHECK(whole.path == "/a/b");
  CHECK(whole.query == "c=d&e");
  CHECK(whole.body == "hello world");
  CHECK(whole.headers == 3);
  CHECK(whole.rest == "GET /next HTTP/1.1\r\n");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    INFO("cut at " << cut);
    REQUIRE(ReadInPieces(limits, bytes, cut) == whole);
  }
}

TEST_CASE("a request line may be as long as the limit and not a byte longer", "[gate]") {
  HttpLimits limits;
  limits.request_line_bytes_max = 200;
  limits.path_bytes_max = 1'000;
  const auto line = [](std::size_t size) {
    const std::string frame = "GET / HTTP/1.1";
    return "GET /" + std::string(size - frame.size(), 'a') + " HTTP/1.1\r\n" + kHost + "\r\n";
  };
  CHECK(StatusOf(limits, line(199)) == 200);
  CHECK(StatusOf(limits, line(200)) == 200);
  CHECK(StatusOf(limits, line(201)) == 414);
  CHECK(ReadAtOnce(limits, std::string(201, 'a')).verdict == Verdict::kMore);  // its CR might come
  CHECK(ReadAtOnce(limits, std::string(202, 'a')).status == 414);
}

TEST_CASE("a path may be as long as the limit and not a byte longer", "[gate]") {
  HttpLimits limits;
  limits.path_bytes_max = 100;
  const auto path = [](std::size_t size) {
    return "GET /" + std::string(size - 1, 'a') + "?" + std::string(500, 'q') + " HTTP/1.1\r\n" + kHost +
           "\r\n";
  };
  CHECK(StatusOf(limits, path(99)) == 200);
  CHECK(StatusOf(limits, path(100)) == 200);
  CHECK(StatusOf(limits, path(101)) == 414);
}

TEST_CASE("a head may be as large as the limit and not a byte larger", "[gate]") {
  HttpLimits limits;
  limits.head_bytes_max = 512;
  const auto head = [](std::size_t size) {
    const std::string frame = "GET / HTTP/1.1\r\n" + kHost + "X-A: \r\n\r\n";
    return "GET / HTTP/1.1\r\n" + kHost + "X-A: " + std::string(size - frame.size(), 'a') + "\r\n\r\n";
  };
  CHECK(StatusOf(limits, head(511)) == 200);
  CHECK(StatusOf(limits, head(512)) == 200);
  CHECK(StatusOf(limits, head(513)) == 431);
  CHECK(StatusOf(limits, "GET / HTTP/1.1\r\nX-A: " + std::string(600, 'a')) == 431);
}

TEST_CASE("a request may have as many fields as the limit and not one more", "[gate]") {
  HttpLimits limits;
  limits.headers_max = 10;
  const auto fields = [](int count) {
    std::string bytes = "GET / HTTP/1.1\r\n" + kHost;
    for (int i = 1; i < count; ++i) bytes += fmt::format("X-{}: a\r\n", i);
    return bytes + "\r\n";
  };
  CHECK(StatusOf(limits, fields(9)) == 200);
  CHECK(StatusOf(limits, fields(10)) == 200);
  CHECK(StatusOf(limits, fields(11)) == 431);
}

TEST_CASE("a body may be as long as the limit and not a byte longer", "[gate]") {
  HttpLimits limits;
  limits.body_bytes_max = 1'000;
  const auto counted = [](std::size_t size) {
    return fmt::format("POST / HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{}", kHost, size,
                       std::string(size, 'b'));
  };
  CHECK(StatusOf(limits, counted(999)) == 200);
  CHECK(StatusOf(limits, counted(1'000)) == 200);
  CHECK(StatusOf(limits, counted(1'001)) == 413);
  const auto chunked = [](std::size_t size) {
    return fmt::format(
        "POST / HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n1\r\nb\r\n{:x}\r\n{}\r\n0\r\n\r\n", kHost,
        size - 1, std::string(size - 1, 'b'));
  };
  CHECK(StatusOf(limits, chunked(999)) == 200);
  CHECK(StatusOf(limits, chunked(1'000)) == 200);
  CHECK(StatusOf(limits, chunked(1'001)) == 413);
}

TEST_CASE("what a client may hide between chunks is bounded", "[gate]") {
  const HttpLimits limits;
  const std::string head = "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n";
  const auto line = [&](std::size_t size) {
    return head + "1;" + std::string(size - 3, 'x') + "\r\na\r\n0\r\n\r\n";
  };
  CHECK(StatusOf(limits, line(kChunkLineBytesMax)) == 200);  // with its CR
  CHECK(StatusOf(limits, line(kChunkLineBytesMax + 1)) == 400);

  const auto extensions = [&](std::size_t total) {
    std::string bytes = head;
    for (std::size_t left = total; left > 0;) {
      const std::size_t size = left > 1'002 ? 1'000 : left;
      bytes += "1;" + std::string(size - 1, 'x') + "\r\na\r\n";
      left -= size;
    }
    return bytes + "0\r\n\r\n";
  };
  CHECK(StatusOf(limits, extensions(kChunkExtensionBytesMax - 1)) == 200);
  CHECK(StatusOf(limits, extensions(kChunkExtensionBytesMax)) == 200);
  CHECK(StatusOf(limits, extensions(kChunkExtensionBytesMax + 1)) == 400);

  const auto trailer = [&](std::size_t size) {
    return head + "0\r\nX: " + std::string(size - 5, 'x') + "\r\n\r\n";
  };
  CHECK(StatusOf(limits, trailer(kTrailerBytesMax - 1)) == 200);
  CHECK(StatusOf(limits, trailer(kTrailerBytesMax)) == 431);
}

TEST_CASE("a million tiny chunks need no more memory than their body and one gap", "[gate]") {
  const HttpLimits limits;
  Gate gate{limits};
  std::string buffer = "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n";
  const std::size_t head = buffer.size();
  REQUIRE(Step(gate, buffer) == Verdict::kMore);
  std::string packet;
  for (int i = 0; i < 1'000; ++i) packet += "1\r\nx\r\n";
  std::size_t largest = 0;
  for (int i = 0; i < 1'000; ++i) {
    buffer += packet;
    REQUIRE(Step(gate, buffer) == Verdict::kMore);
    largest = std::max(largest, buffer.size() - head - static_cast<std::size_t>(i + 1) * 1'000);
  }
  CHECK(largest < 80'000);
  CHECK(gate.body_bytes_seen(buffer) == 6'000'000);
  buffer += "0\r\n\r\n";
  REQUIRE(Step(gate, buffer) == Verdict::kRequest);
  Request request;
  gate.Describe(buffer, request);
  CHECK(request.body == std::string(1'000'000, 'x'));
}

TEST_CASE("a head with a body to come is announced before the body", "[gate]") {
  const HttpLimits limits;
  Gate gate{limits};
  std::string buffer = "PUT /a HTTP/1.1\r\n" + kHost + "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
  CHECK(gate.Feed(buffer) == Verdict::kHead);
  CHECK(gate.expects_continue());
  CHECK(gate.body_bytes_seen(buffer) == 0);
  CHECK(gate.Feed(buffer) == Verdict::kMore);
  buffer += "helloGET";
  CHECK(gate.Feed(buffer) == Verdict::kRequest);
  CHECK(buffer.substr(gate.end()) == "GET");
}

TEST_CASE("a connection is kept as the version and the client say", "[gate]") {
  const HttpLimits limits;
  const auto keeps = [&](const std::string& version, const std::string& fields) {
    Gate gate{limits};
    std::string buffer = "GET / HTTP/" + version + "\r\n" + kHost + fields + "\r\n";
    REQUIRE(gate.Feed(buffer) == Verdict::kRequest);
    return gate.keep_alive();
  };
  CHECK(keeps("1.1", ""));
  CHECK(keeps("1.1", "Connection: keep-alive\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: close\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: x, CLOSE\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  CHECK_FALSE(keeps("1.0", ""));
  CHECK(keeps("1.0", "Connection: Keep-Alive\r\n"));
  CHECK_FALSE(keeps("1.0", "Connection: keep-alive, close\r\n"));
}

TEST_CASE("a POST without a length has an empty body", "[gate]") {
  const Reading reading = ReadAtOnce(HttpLimits{}, "POST / HTTP/1.1\r\n" + kHost + "\r\nnext");
  CHECK(reading.verdict == Verdict::kRequest);
  CHECK(reading.body.empty());
  CHECK(reading.rest == "next");
}

TEST_CASE("a body belongs to its request whatever the method", "[gate]") {
  for (const std::string method : {"GET", "HEAD", "DELETE", "OPTIONS", "PATCH"}) {
    INFO(method);
    const Reading counted =
        ReadAtOnce(HttpLimits{}, method + " / HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nhelloGET");
    CHECK(counted.body == "hello");
    CHECK(counted.rest == "GET");
    const Reading chunked =
        ReadAtOnce(HttpLimits{}, method + " / HTTP/1.1\r\n" + kHost +
                                     "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET");
    CHECK(chunked.body == "hello");
    CHECK(chunked.rest == "GET");
  }
}

}  // namespace
}  // namespace gathering::http
