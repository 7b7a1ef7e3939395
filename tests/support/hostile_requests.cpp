#include "tests/support/hostile_requests.h"

#include <string_view>

namespace gathering::test {
namespace {

using std::string_literals::operator""s;

const std::string kHost = "Host: localhost\r\n";
// Behind a request whose end is in doubt: must never be answered as a request of its own.
const std::string kSmuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::string Get(const std::string& fields) {
  return "GET / HTTP/1.1\r\n" + fields + "\r\n";
}

std::string Post(const std::string& fields, const std::string& body) {
  return "POST /echo HTTP/1.1\r\n" + kHost + fields + "\r\n" + body;
}

std::string Chunked(const std::string& body) {
  return Post("Transfer-Encoding: chunked\r\n", body);
}

std::vector<HostileRequest> RequestLines() {
  return {
      {"no spaces", "GET\r\n" + kHost + "\r\n", {400}},
      {"a version is missing", "GET /\r\n" + kHost + "\r\n", {400}},
      {"two spaces before the target", "GET  / HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"two spaces before the version", "GET /  HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"a space inside the target", "GET /a b HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"a tab between method and target", "GET\t/ HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"a space before the method", " GET / HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"a space after the version", "GET / HTTP/1.1 \r\n" + kHost + "\r\n", {400}},
      {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"one empty line first", "\r\nGET / HTTP/1.1\r\n" + kHost + "\r\n", {200}},
      {"a bare LF first", "\nGET / HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"lines ending in LF only", "GET / HTTP/1.1\nHost: localhost\n\n", {400}},
      {"the request line ending in LF only", "GET / HTTP/1.1\n" + kHost + "\r\n", {400}},
      {"a bare CR in the request line", "GET /\r HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"lines ending in CR only", "GET / HTTP/1.1\rHost: localhost\r\r\n", {400}},
      {"a NUL in the target", "GET /a\0b HTTP/1.1\r\n"s + kHost + "\r\n", {400}},
      {"a control byte in the target", "GET /a\x01 HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"DEL in the target", "GET /a\x7f HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"raw UTF-8 in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"a fragment in the target", "GET /a#b HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"a quote in the target", "GET /\"a HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"a target without a slash", "GET a HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"an asterisk for GET", "GET * HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"an asterisk for OPTIONS", "OPTIONS * HTTP/1.1\r\n" + kHost + "\r\n", {204}},
      {"a foreign scheme", "GET ftp://localhost/ HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"absolute form", "GET http://localhost/ HTTP/1.1\r\n" + kHost + "\r\n", {200}},
      {"absolute form without a path", "GET http://localhost HTTP/1.1\r\n" + kHost + "\r\n", {200}},
      {"absolute form with only a query", "GET http://localhost?a=1 HTTP/1.1\r\n" + kHost + "\r\n", {200}},
      {"absolute form for another host", "GET http://other/ HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"absolute form with a user", "GET http://me@localhost/ HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"absolute form without a host", "GET http:/// HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"a method in lower case", "get / HTTP/1.1\r\n" + kHost + "\r\n", {501}},
      {"an unknown method", "BREW / HTTP/1.1\r\n" + kHost + "\r\n", {501}},
      {"a method that is no token", "G@T / HTTP/1.1\r\n" + kHost + "\r\n", {400}},
      {"TRACE", "TRACE / HTTP/1.1\r\n" + kHost + "\r\n", {405, 501}},
      {"CONNECT", "CONNECT localhost:80 HTTP/1.1\r\n" + kHost + "\r\n", {405, 501}},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 501, 505}},
      {"HTTP/0.9", "GET /\r\n\r\n", {400}},
      {"HTTP/1.2", "GET / HTTP/1.2\r\n" + kHost + "\r\n", {505}},
      {"HTTP/2.0", "GET / HTTP/2.0\r\n" + kHost + "\r\n", {505}},
      {"a version without a minor number", "GET / HTTP/1\r\n" + kHost + "\r\n", {400}},
      {"a version with two digits", "GET / HTTP/1.10\r\n" + kHost + "\r\n", {400}},
      {"a version with a leading zero", "GET / HTTP/01.1\r\n" + kHost + "\r\n", {400}},
      {"a version in lower case", "GET / http/1.1\r\n" + kHost + "\r\n", {400}},
      {"a version with a space", "GET / HTTP/ 1.1\r\n" + kHost + "\r\n", {400}},
      {"another protocol", "GET / HTTQ/1.1\r\n" + kHost + "\r\n", {400}},
      {"TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"s, {400}},
      {"a reply instead of a request", "HTTP/1.1 200 OK\r\n\r\n", {400}},
  };
}

std::vector<HostileRequest> Hosts() {
  return {
      {"no Host", Get(""), {400}},
      {"no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", {200}},
      {"two Hosts", Get(kHost + kHost), {400}},
      {"two different Hosts", Get(kHost + "Host: other\r\n"), {400}},
      {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" + kHost + kHost + "\r\n", {400}},
      {"an empty Host", Get("Host:\r\n"), {400}},
      {"a Host with a user", Get("Host: me@localhost\r\n"), {400}},
      {"a Host with a path", Get("Host: localhost/a\r\n"), {400}},
      {"a Host with a space", Get("Host: local host\r\n"), {400}},
      {"a list of Hosts", Get("Host: a,b\r\n"), {200, 400}},
      {"a Host with a bad port", Get("Host: localhost:8x\r\n"), {400}},
      {"a Host with a long port", Get("Host: localhost:800000\r\n"), {400}},
      {"a Host with a port", Get("Host: localhost:8000\r\n"), {200}},
      {"an IPv6 Host", Get("Host: [::1]:8000\r\n"), {200}},
      {"an IPv6 Host without its end", Get("Host: [::1\r\n"), {400}},
      {"a Host twice, once hidden by a fold", Get(kHost + " Host: other\r\n"), {400}},
  };
}

std::vector<HostileRequest> Fields() {
  return {
      {"a field without a colon", Get(kHost + "Nothing\r\n"), {400}},
      {"a field without a name", Get(kHost + ": value\r\n"), {400}},
      {"a space before the colon", Get(kHost + "X-A : b\r\n"), {400}},
      {"a tab before the colon", Get(kHost + "X-A\t: b\r\n"), {400}},
      {"a space inside a name", Get(kHost + "X A: b\r\n"), {400}},
      {"a space before the first field", Get(" X-A: b\r\n" + kHost), {400}},
      {"a folded field", Get(kHost + "X-A: b\r\n c\r\n"), {400}},
      {"a field folded with a tab", Get(kHost + "X-A: b\r\n\tc\r\n"), {400}},
      {"a line of spaces", Get(kHost + "   \r\n"), {400}},
      {"a NUL in a name", Get(kHost + "X\0A: b\r\n"s), {400}},
      {"a NUL in a value", Get(kHost + "X-A: b\0c\r\n"s), {400}},
      {"a bare CR in a value", Get(kHost + "X-A: b\rc\r\n"), {400}},
      {"a bare LF in a value", Get(kHost + "X-A: b\nc\r\n"), {400}},
      {"a vertical tab in a value", Get(kHost + "X-A: \x0b\r\n"), {400}},
      {"an escape in a value", Get(kHost + "X-A: \x1b[31m\r\n"), {400}},
      {"DEL in a value", Get(kHost + "X-A: \x7f\r\n"), {400}},
      {"two Authorizations", Get(kHost + "Authorization: Bearer a\r\nauthorization: Bearer b\r\n"), {400}},
      {"the same Authorization twice",
       Get(kHost + "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n"),
       {400}},
      {"a brace in a name", Get(kHost + "X{A}: b\r\n"), {400}},
      {"raw bytes in a name", Get(kHost + "X-\xc3\xa9: b\r\n"), {400}},
      {"raw bytes in a value", Get(kHost + "X-A: \xc3\xa9\r\n"), {200}},
      {"an empty value", Get(kHost + "X-A:\r\n"), {200}},
      {"tabs around a value", Get(kHost + "X-A:\tb\t\r\n"), {200}},
      {"escaped line ends in a value", Get(kHost + "X-A: a%0d%0aInjected: yes\r\n"), {200}},
      {"a field of ours", Get(kHost + "REMOTE_ADDR: 6.6.6.6\r\n"), {200}},
      {"thousands of overlapping ranges", Get(kHost + "Range: bytes=0-,0-,0-,0-,0-,0-\r\n"), {200}},
      {"an Upgrade we do not know", Get(kHost + "Connection: Upgrade\r\nUpgrade: h2c\r\n"), {200}},
      {"an unknown expectation", Post("Expect: tea\r\nContent-Length: 1\r\n", "a"), {417}},
      {"an encoded body", Post("Content-Encoding: gzip\r\nContent-Length: 1\r\n", "a"), {415}},
      {"a body encoded with identity",
       Post("Content-Encoding: identity\r\nContent-Length: 1\r\n", "a"),
       {200}},
  };
}

std::vector<HostileRequest> Lengths() {
  const auto with = [](const std::string& fields) { return Post(fields, "hello" + kSmuggled); };
  return {
      {"two equal lengths", with("Content-Length: 5\r\nContent-Length: 5\r\n"), {400}},
      {"two different lengths", with("Content-Length: 5\r\nContent-Length: 6\r\n"), {400}},
      {"a list of lengths", with("Content-Length: 5, 5\r\n"), {400}},
      {"a length with a plus", with("Content-Length: +5\r\n"), {400}},
      {"a negative length", with("Content-Length: -5\r\n"), {400}},
      {"a length in hex", with("Content-Length: 0x5\r\n"), {400}},
      {"a length with letters", with("Content-Length: 5abc\r\n"), {400}},
      {"a length with a fraction", with("Content-Length: 5.0\r\n"), {400}},
      {"a length with an exponent", with("Content-Length: 5e0\r\n"), {400}},
      {"a length with a leading zero", with("Content-Length: 05\r\n"), {400}},
      {"a length with an inner space", with("Content-Length: 5 5\r\n"), {400}},
      {"a length with an underscore", with("Content-Length: 1_0\r\n"), {400}},
      {"an empty length", with("Content-Length:\r\n"), {400}},
      {"a length in other digits", with("Content-Length: \xd9\xa5\r\n"), {400}},
      {"a length beyond 64 bits", with("Content-Length: 99999999999999999999\r\n"), {400, 413}},
      {"a length that wraps to 5", with("Content-Length: 18446744073709551621\r\n"), {400, 413}},
      {"a huge length", with("Content-Length: 9999999999\r\n"), {413}},
      {"a space before the length's colon", with("Content-Length : 5\r\n"), {400}},
      {"a length behind a vertical tab",
       with("Content-Length: \x0b"
            "5\r\n"),
       {400}},
      {"a length and chunks", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), {400}},
      {"chunks and a length", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), {400}},
      {"chunks and a length of zero", with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), {400}},
      {"chunks and a length in lower case",
       with("transfer-encoding: CHUNKED\r\ncontent-length: 5\r\n"),
       {400}},
      {"an unknown coding and a length", with("Transfer-Encoding: x\r\nContent-Length: 5\r\n"), {400, 501}},
  };
}

std::vector<HostileRequest> Codings() {
  const auto with = [](const std::string& fields) { return Post(fields, "0\r\n\r\n" + kSmuggled); };
  return {
      {"chunked twice in one field", with("Transfer-Encoding: chunked, chunked\r\n"), {400}},
      {"chunked in two fields", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), {400}},
      {"chunked and then identity", with("Transfer-Encoding: chunked, identity\r\n"), {400}},
      {"chunked and then another field",
       with("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"),
       {400}},
      {"gzip and then chunked", with("Transfer-Encoding: gzip, chunked\r\n"), {501}},
      {"gzip", with("Transfer-Encoding: gzip\r\n"), {400, 501}},
      {"identity", with("Transfer-Encoding: identity\r\n"), {400, 501}},
      {"xchunked", with("Transfer-Encoding: xchunked\r\n"), {400, 501}},
      {"chunked with a parameter", with("Transfer-Encoding: chunked;a=b\r\n"), {400, 501}},
      {"chunked in quotes", with("Transfer-Encoding: \"chunked\"\r\n"), {400, 501}},
      {"chunked with a comma behind", with("Transfer-Encoding: chunked,\r\n"), {400}},
      {"chunked with a comma before", with("Transfer-Encoding: ,chunked\r\n"), {400}},
      {"an empty coding", with("Transfer-Encoding:\r\n"), {400}},
      {"chunked behind a vertical tab",
       with("Transfer-Encoding: \x0b"
            "chunked\r\n"),
       {400}},
      {"chunked behind a NUL", with("Transfer-Encoding: \0chunked\r\n"s), {400}},
      {"chunked on a folded line", with("Transfer-Encoding:\r\n chunked\r\n"), {400}},
      {"a space before the coding's colon", with("Transfer-Encoding : chunked\r\n"), {400}},
      {"chunks in HTTP/1.0",
       "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + kSmuggled,
       {400}},
  };
}

std::vector<HostileRequest> Chunks() {
  const std::string rest = "0\r\n\r\n";
  return {
      {"a good chunk", Chunked("5\r\nhello\r\n" + rest), {200}},
      {"a chunk size in upper case", Chunked("A\r\n0123456789\r\n" + rest), {200}},
      {"an extension", Chunked("5;a=b;c=\"d e\"\r\nhello\r\n" + rest), {200}},
      {"a trailer", Chunked("5\r\nhello\r\n0\r\nX-A: b\r\n\r\n"), {200}},
      {"a trailer that would frame", Chunked("5\r\nhello\r\n0\r\nContent-Length: 7\r\n\r\n"), {200, 400}},
      {"a chunk size that is no number", Chunked("x\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"an empty chunk size", Chunked("\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"a chunk size with 0x", Chunked("0x5\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"a chunk size with a sign", Chunked("+5\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"a negative chunk size", Chunked("-5\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"a chunk size with an underscore", Chunked("1_0\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"a space before the chunk size", Chunked(" 5\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"a space after the chunk size", Chunked("5 \r\nhello\r\n" + rest + kSmuggled), {400}},
      {"a chunk size that wraps to 5",
       Chunked("10000000000000005\r\nhello\r\n" + rest + kSmuggled),
       {400, 413}},
      {"a huge chunk", Chunked("ffffffff\r\nhello\r\n" + rest + kSmuggled), {413}},
      {"a chunk longer than it says", Chunked("4\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"a chunk line ending in LF only", Chunked("5\nhello\r\n" + rest + kSmuggled), {400}},
      {"a chunk ending in LF only", Chunked("5\r\nhello\n" + rest + kSmuggled), {400}},
      {"a chunk ending in CR only", Chunked("5\r\nhello\r" + rest + kSmuggled), {400}},
      {"a last chunk ending in LF only", Chunked("5\r\nhello\r\n0\n\n" + kSmuggled), {400}},
      {"an extension without a name", Chunked("5;\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"an extension with an LF", Chunked("5;a\nb\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"an extension with a CR", Chunked("5;a\rb\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"an extension with a NUL", Chunked("5;a=\0\r\nhello\r\n"s + rest + kSmuggled), {400}},
      {"an extension with an open quote", Chunked("5;a=\"b\r\nhello\r\n" + rest + kSmuggled), {400}},
      {"a trailer without a colon", Chunked("0\r\nX-A\r\n\r\n" + kSmuggled), {400}},
      {"a trailer with a space in its name", Chunked("0\r\nX A: b\r\n\r\n" + kSmuggled), {400}},
      {"a trailer ending in LF only", Chunked("0\r\nX-A: b\n\r\n" + kSmuggled), {400}},
      {"a folded trailer", Chunked("0\r\nX-A: b\r\n c\r\n\r\n" + kSmuggled), {400}},
      {"a request as a trailer", Chunked("0\r\n" + kSmuggled), {400}},
  };
}

}  // namespace

const std::vector<HostileRequest>& HostileRequests() {
  static const std::vector<HostileRequest> all = [] {
    std::vector<HostileRequest> rows;
    for (auto&& part : {RequestLines(), Hosts(), Fields(), Lengths(), Codings(), Chunks()}) {
      rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
  }();
  return all;
}

}  // namespace gathering::test
