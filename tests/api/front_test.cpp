// The HTTP front with a handler of the test's own, over real sockets.
#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/worker_pool.h"
#include "daemon/http/server.h"
#include "daemon/loop/fiber.h"
#include "tests/support/eventually.h"
#include "tests/support/hostile_requests.h"
#include "tests/support/raw_client.h"

namespace gathering::http {
namespace {

using namespace std::chrono_literals;
using test::Ask;
using test::Eventually;
using test::RawClient;
using test::RawResponse;

const std::string kHost = "Host: localhost\r\n";

std::string Get(const std::string& path, const std::string& fields = {}) {
  return "GET " + path + " HTTP/1.1\r\n" + kHost + fields + "\r\n";
}

std::string Post(const std::string& path, const std::string& body, const std::string& fields = {}) {
  return fmt::format("POST {} HTTP/1.1\r\n{}{}Content-Length: {}\r\n\r\n{}", path, kHost, fields, body.size(),
                     body);
}

// A server with routes that show how the front behaves.
class Fixture {
 public:
  explicit Fixture(HttpConfig config = Config(), ControlSocket control = {})
      : server_(MakeServer(std::move(config), std::move(control))) {
    server_->Start();
  }
  ~Fixture() { Open(); }

  static HttpConfig Config() {
    HttpConfig config;
    config.listen = {"127.0.0.1:0"};
    config.loops = 2;
    config.limits.connections_per_address_max = 4'096;
    return config;
  }

  Server& server() { return *server_; }
  void DestroyServer() {
    Open();
    server_.reset();
  }
  [[nodiscard]] std::vector<std::string> Addresses() const { return server_->Addresses(); }
  [[nodiscard]] std::string ControlAddress() const { return server_->ControlAddress(); }
  [[nodiscard]] std::string address() const { return server_->Addresses().front(); }
  [[nodiscard]] RawClient Client(std::chrono::milliseconds patience = 10s) const {
    return RawClient{address(), patience};
  }

  // Lets the requests of /wait go on.
  void Open() {
    if (!opened_.exchange(true)) open_.set_value();
  }
  std::atomic<int> waiting{0};
  std::atomic<int> handled{0};
  std::atomic<int> smuggled{0};

 private:
  std::unique_ptr<Server> MakeServer(HttpConfig config, ControlSocket control) {
    return std::make_unique<Server>(
        std::move(config), clock_,
        Server::Callbacks{.handler = [this](const Request& request, const Context& context,
                                            Response& response) { Handle(request, context, response); },
                          .refusal =
                              [](int status, std::string_view detail, Response& response) {
                                response.status = status;
                                response.content_type = "application/json";
                                response.body = fmt::format(R"({{"detail":"{}"}})", detail);
                              }},
        std::move(control));
  }

  void Handle(const Request& request, const Context& context, Response& response) {
    ++handled;
    response.content_type = "text/plain";
    if (request.path == "/smuggled") ++smuggled;
    if (request.path == "/echo") {
      response.body = fmt::format("{} {}", Name(request.method), request.body);
    } else if (request.path == "/large") {
      response.body = std::string(8'000'000, 'x');
    } else if (request.path == "/nothing") {
      response.status = 204;
    } else if (request.path == "/unchanged") {
      response.status = 304;
      response.Set("ETag", "\"1\"");
    } else if (request.path == "/close") {
      response.close = true;
    } else if (request.path == "/throw") {
      throw std::runtime_error("secret: SELECT password");
    } else if (request.path == "/throw-int") {
      throw 42;
    } else if (request.path == "/inject") {
      response.Set("X-A", "b\r\nInjected: yes");
    } else if (request.path == "/frame") {
      response.Set("Content-Length", "3");
    } else if (request.path == "/fields") {
      static constexpr std::string_view kConstant = "X-Constant: yes\r\nX-Constant-Too: yes\r\n";
      response.constant_headers = kConstant;
      response.Set("X-Own", "1");
      response.Set("X-Own", "2");
    } else if (request.path == "/wait") {
      ++waiting;
      loop::RunOn(waiters_, std::nullopt, [this] { opened_future_.wait(); });
      --waiting;
      response.body = "waited";
    } else if (request.path == "/busy") {
      loop::RunOn(tiny_, context.deadline, [] {});
    } else {
      response.body = fmt::format("{}|{}|{}", request.path, request.query, request.peer);
    }
  }

  const SystemClock clock_;
  std::promise<void> open_;
  std::shared_future<void> opened_future_{open_.get_future()};
  std::atomic<bool> opened_{false};
  WorkerPool waiters_{{.name = "waiters", .threads = 2, .queue_max = 4'096}};
  WorkerPool tiny_{{.name = "tiny", .threads = 1, .queue_max = 4}};
  std::unique_ptr<Server> server_;
};

int StatusOf(Fixture& fixture, const std::string& bytes) {
  const auto response = fixture.Client().Exchange(bytes);
  return response ? response->status : 0;
}

TEST_CASE("an answer says what HTTP wants and what the handler said", "[front]") {
  Fixture fixture;
  RawClient client = fixture.Client();
  const auto response = client.Exchange(Get("/a%20b?c=d"));
  REQUIRE(response);
  CHECK(response->status == 200);
  CHECK(response->reason == "OK");
  CHECK(response->body == "/a%20b|c=d|127.0.0.1");
  CHECK(response->Header("Content-Type") == "text/plain");
  CHECK(response->Header("Server") == "gathering");
  CHECK(response->Header("Date").size() == std::string_view{"Mon, 23 Nov 2026 09:35:55 GMT"}.size());
  CHECK_FALSE(response->Has("Connection"));
  CHECK_FALSE(response->Has("Keep-Alive"));

  const auto fields = client.Exchange(Get("/fields"));
  REQUIRE(fields);
  CHECK(fields->Header("X-Constant") == "yes");
  CHECK(fields->Header("X-Constant-Too") == "yes");
  CHECK(fields->HeaderCount("X-Own") == 2);
  CHECK(fields->HeaderCount("Content-Length") == 1);
  CHECK(fields->HeaderCount("Date") == 1);
}

TEST_CASE("HEAD is answered like GET without the body", "[front]") {
  Fixture fixture;
  RawClient client = fixture.Client();
  const auto get = client.Exchange(Get("/same"));
  const auto head = client.Exchange("HEAD /same HTTP/1.1\r\n" + kHost + "\r\n", Ask::kHead);
  REQUIRE(get);
  REQUIRE(head);
  CHECK(head->Header("Content-Length") == std::to_string(get->body.size()));
  CHECK(head->headers.size() == get->headers.size());
  CHECK(client.Exchange(Get("/after"))->body == "/after||127.0.0.1");  // and nothing was left in between
}

TEST_CASE("answers that have no body say nothing about one", "[front]") {
  Fixture fixture;
  RawClient client = fixture.Client();
  for (const char* path : {"/nothing", "/unchanged"}) {
    const auto response = client.Exchange(Get(path));
    REQUIRE(response);
    CHECK_FALSE(response->Has("Content-Length"));
    CHECK_FALSE(response->Has("Content-Type"));
  }
  CHECK(client.Exchange(Get("/"))->status == 200);
}

TEST_CASE("a handler that fails is answered with 500 and no word of why", "[front]") {
  Fixture fixture;
  RawClient client = fixture.Client();
  std::uint64_t failures = 0;
  for (const char* path : {"/throw", "/throw-int", "/inject", "/frame"}) {
    INFO(path);
    client.Send(Get(path));
    const auto response = client.Receive();
    REQUIRE(response);
    CHECK(response->status == 500);
    CHECK(response->body == R"({"detail":"Internal Server Error"})");
    CHECK_FALSE(response->Has("Injected"));
    CHECK(response->headers.size() == 4);
    CHECK(fixture.server().Stats().handler_failures == ++failures);
  }
  CHECK(client.Exchange(Get("/"))->status == 200);
}

TEST_CASE("hostile requests get one allowed answer and never two", "[front]") {
  Fixture fixture;
  std::size_t rows = 0;
  for (const test::HostileRequest& row : test::HostileRequests()) {
    INFO(row.what);
    RawClient client = fixture.Client();
    client.Send(row.bytes);
    client.FinishSending();
    const std::string bytes = client.ReceiveAll();
    const std::vector<RawResponse> answers = test::SplitResponses(bytes);
    CHECK(answers.size() == 1);
    if (answers.empty()) continue;
    CAPTURE(answers.front().status);
    CHECK(std::count(row.allowed.begin(), row.allowed.end(), answers.front().status) == 1);
    if (answers.front().status >= 400) CHECK(answers.front().Header("Connection") == "close");
    ++rows;
  }
  CHECK(rows > 150);
  CHECK(fixture.smuggled == 0);
}

TEST_CASE("a request is answered the same however its bytes are cut", "[front]") {
  Fixture fixture;
  const std::string bytes =
      "POST /echo?a=b HTTP/1.1\r\n" + kHost +
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n4;x=y\r\n you\r\n0\r\nX-T: t\r\n\r\n";
  RawClient client = fixture.Client();
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    INFO("cut at " << cut);
    client.Send(bytes.substr(0, cut));
    const auto response = client.Exchange(bytes.substr(cut));
    REQUIRE(response);
    REQUIRE(response->body == "POST hello you");
  }
  for (const char byte : bytes) client.Send(std::string_view{&byte, 1});
  CHECK(client.Receive()->body == "POST hello you");
}

TEST_CASE("pipelined requests are answered in their order", "[front]") {
  Fixture fixture;
  fixture.Open();
  RawClient client = fixture.Client();
  std::string all;
  for (int i = 0; i < 300; ++i) {
    all += i % 3 == 0   ? Post("/echo", std::to_string(i))
           : i % 3 == 1 ? Get("/wait")
                        : Get("/" + std::to_string(i));
  }
  client.Send(all);
  for (int i = 0; i < 300; ++i) {
    const auto response = client.Receive();
    REQUIRE(response);
    REQUIRE(response->body == (i % 3 == 0   ? fmt::format("POST {}", i)
                               : i % 3 == 1 ? "waited"
                                            : fmt::format("/{}||127.0.0.1", i)));
  }
  CHECK(client.Rest().empty());
}

TEST_CASE("nothing behind a request to close is answered", "[front]") {
  Fixture fixture;
  for (const std::string& first :
       {Get("/", "Connection: close\r\n"), Get("/close"), std::string{"GET / HTTP/1.0\r\n\r\n"}}) {
    RawClient client = fixture.Client();
    client.Send(first + Get("/smuggled"));
    const auto answers = test::SplitResponses(client.ReceiveAll());
    REQUIRE(answers.size() == 1);
    CHECK(answers.front().Header("Connection") == "close");
  }
  CHECK(fixture.smuggled == 0);
}

TEST_CASE("a client of HTTP/1.0 who asks for it is kept and told", "[front]") {
  Fixture fixture;
  RawClient client = fixture.Client();
  for (int i = 0; i < 3; ++i) {
    const auto response = client.Exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    REQUIRE(response);
    CHECK(response->Header("Connection") == "keep-alive");
  }
}

TEST_CASE("a client who expects a 100 gets it only when the body will be read", "[front]") {
  HttpConfig config = Fixture::Config();
  config.limits.body_bytes_max = 100;
  Fixture fixture{config};
  const auto head = [](int length) {
    return fmt::format("POST /echo HTTP/1.1\r\n{}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", kHost,
                       length);
  };
  RawClient client = fixture.Client();
  client.Send(head(5));
  REQUIRE(client.Receive()->status == 100);
  client.Send("hello");
  CHECK(client.Receive()->body == "POST hello");
  CHECK(client.Exchange(head(5) + "hello")->body == "POST hello");  // did not wait, needs none

  CHECK(client.Exchange(head(101))->status == 413);
  CHECK(client.IsClosed());
  CHECK(StatusOf(fixture, Post("/echo", "a", "Expect: x\r\n")) == 417);
}

TEST_CASE("an answer to an unread body arrives before the connection goes", "[front]") {
  Fixture fixture;
  RawClient client = fixture.Client();
  client.Send(fmt::format("POST /echo HTTP/1.1\r\n{}Content-Length: 9000000\r\n\r\n", kHost));
  for (int i = 0; i < 100; ++i) client.Send(std::string(1'000, 'x'));
  const auto response = client.Receive();
  REQUIRE(response);
  CHECK(response->status == 413);
  CHECK(client.IsClosed());
}

TEST_CASE("limits answer at the bound and not before", "[front]") {
  HttpConfig config = Fixture::Config();
  config.limits.request_line_bytes_max = 200;
  config.limits.path_bytes_max = 100;
  config.limits.head_bytes_max = 1'000;
  config.limits.headers_max = 5;
  config.limits.body_bytes_max = 1'000;
  Fixture fixture{config};
  const auto path = [&](std::size_t size) {
    return StatusOf(fixture, Get("/" + std::string(size - 1, 'a')));
  };
  CHECK(path(99) == 200);
  CHECK(path(100) == 200);
  CHECK(path(101) == 414);
  const auto line = [&](std::size_t size) {
    return StatusOf(fixture, Get("/?" + std::string(size - std::string_view{"GET /? HTTP/1.1"}.size(), 'a')));
  };
  CHECK(line(199) == 200);
  CHECK(line(200) == 200);
  CHECK(line(201) == 414);
  const auto head = [&](std::size_t size) {
    return StatusOf(fixture, Get("/", "X: " + std::string(size - Get("/", "X: \r\n").size(), 'a') + "\r\n"));
  };
  CHECK(head(999) == 200);
  CHECK(head(1'000) == 200);
  CHECK(head(1'001) == 431);
  const auto fields = [&](int count) {
    std::string more;
    for (int i = 1; i < count; ++i) more += "X: a\r\n";
    return StatusOf(fixture, Get("/", more));
  };
  CHECK(fields(4) == 200);
  CHECK(fields(5) == 200);
  CHECK(fields(6) == 431);
  const auto body = [&](std::size_t size) {
    return StatusOf(fixture, Post("/echo", std::string(size, 'b')));
  };
  CHECK(body(999) == 200);
  CHECK(body(1'000) == 200);
  CHECK(body(1'001) == 413);
  CHECK(fixture.server().Stats().refused_by_gate == 5);
}

TEST_CASE("a connection serves as many requests as the limit and says which is the last", "[front]") {
  HttpConfig config = Fixture::Config();
  config.limits.requests_per_connection_max = 3;
  Fixture fixture{config};
  RawClient client = fixture.Client();
  CHECK_FALSE(client.Exchange(Get("/"))->Has("Connection"));
  CHECK_FALSE(client.Exchange(Get("/"))->Has("Connection"));
  CHECK(client.Exchange(Get("/"))->Header("Connection") == "close");
  CHECK(client.IsClosed());
}

TEST_CASE("more connections than the limit are told so", "[front]") {
  HttpConfig config = Fixture::Config();
  SECTION("in total") {
    config.limits.connections_max = 3;
  }
  SECTION("of one address") {
    config.limits.connections_per_address_max = 3;
  }
  Fixture fixture{config};
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(fixture.Client());
    CHECK(clients.back().Exchange(Get("/"))->status == 200);
  }
  RawClient fourth = fixture.Client();
  const auto refusal = fourth.Exchange(Get("/"));
  REQUIRE(refusal);
  CHECK(refusal->status == 503);
  CHECK(refusal->Header("Retry-After") == "1");
  CHECK(fourth.IsClosed());
  CHECK(fixture.server().Stats().connections_refused == 1);
  clients.pop_back();
  CHECK(Eventually([&] { return fixture.server().Stats().connections_open == 2; }));
  CHECK(StatusOf(fixture, Get("/")) == 200);
}

TEST_CASE("more requests in progress than the limit are refused before their body is read", "[front]") {
  HttpConfig config = Fixture::Config();
  config.limits.requests_in_progress_max = 3;
  Fixture fixture{config};
  std::vector<RawClient> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(fixture.Client());
    clients.back().Send(Get("/wait"));
  }
  REQUIRE(Eventually([&] { return fixture.waiting == 2; }));
  CHECK(StatusOf(fixture, Get("/")) == 200);  // the third
  clients.push_back(fixture.Client());
  clients.back().Send(Get("/wait"));
  REQUIRE(Eventually([&] { return fixture.waiting == 3; }));

  RawClient refused = fixture.Client();
  const auto response = refused.Exchange("POST /echo HTTP/1.1\r\n" + kHost + "Content-Length: 1000\r\n\r\n");
  REQUIRE(response);
  CHECK(response->status == 503);
  CHECK(response->Header("Retry-After") == "1");
  CHECK(refused.IsClosed());
  RawClient kept = fixture.Client();  // whose request is whole and who may try again
  for (int i = 0; i < 3; ++i) CHECK(kept.Exchange(Get("/"))->status == 503);
  CHECK(fixture.server().Stats().requests_refused_busy == 4);
  fixture.Open();
  for (RawClient& client : clients) CHECK(client.Receive()->body == "waited");
  CHECK(Eventually([&] { return fixture.server().Stats().requests_in_progress == 0; }));
  CHECK(kept.Exchange(Get("/"))->status == 200);
}

TEST_CASE("a slow head is answered with 408", "[front]") {
  HttpConfig config = Fixture::Config();
  config.limits.head_timeout = 50ms;
  Fixture fixture{config};
  CHECK(StatusOf(fixture, "GET / HTTP/1.1\r\nHost: a\r\n") == 408);
  RawClient silent = fixture.Client();
  CHECK(silent.IsClosed());
  CHECK(fixture.server().Stats().timeouts == 2);

  RawClient kept = fixture.Client();
  CHECK(kept.Exchange(Get("/"))->status == 200);
  CHECK(kept.Exchange("GET")->status == 408);  // the deadline is each request's own
  CHECK(kept.IsClosed());
}

TEST_CASE("a slow body is answered with 408", "[front]") {
  HttpConfig config = Fixture::Config();
  config.limits.body_grace = 50ms;
  config.limits.body_bytes_per_second_min = 1'000'000;
  Fixture fixture{config};
  CHECK(StatusOf(fixture, "POST /echo HTTP/1.1\r\n" + kHost + "Content-Length: 10\r\n\r\nhell") == 408);
  CHECK(StatusOf(fixture,
                 "POST /echo HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n4\r\nhell") == 408);
  CHECK(fixture.handled == 0);
  CHECK(StatusOf(fixture, Post("/echo", "hello")) == 200);
}

TEST_CASE("an idle connection is closed without a word", "[front]") {
  HttpConfig config = Fixture::Config();
  config.limits.idle_timeout = 50ms;
  Fixture fixture{config};
  RawClient client = fixture.Client();
  CHECK(client.Exchange(Get("/"))->status == 200);
  CHECK(client.IsClosed());
}

TEST_CASE("a client who does not read his answer is dropped", "[front]") {
  HttpConfig config = Fixture::Config();
  config.limits.write_timeout = 100ms;
  Fixture fixture{config};
  RawClient client = fixture.Client();
  client.SetReceiveBuffer(4'096);
  client.Send(Get("/large") + Get("/smuggled"));
  REQUIRE(Eventually([&] { return fixture.handled == 1; }));
  // Sending more is no sign of reading.
  CHECK(Eventually([&] {
    client.Send("x");
    return fixture.server().Stats().connections_open == 0;
  }));
  CHECK(fixture.server().Stats().timeouts == 1);
  CHECK(fixture.smuggled == 0);  // no second request while the first answer waits
}

TEST_CASE("a large answer arrives whole", "[front]") {
  Fixture fixture;
  RawClient client = fixture.Client();
  for (int i = 0; i < 3; ++i) {
    const auto response = client.Exchange(Get("/large"));
    REQUIRE(response);
    CHECK(response->body == std::string(8'000'000, 'x'));
  }
  CHECK(client.Exchange(Get("/"))->status == 200);
}

TEST_CASE("a client who leaves costs only his answer", "[front]") {
  Fixture fixture;
  {
    RawClient client = fixture.Client();
    client.Send(Get("/wait"));
    REQUIRE(Eventually([&] { return fixture.waiting == 1; }));
  }
  CHECK(StatusOf(fixture, Get("/")) == 200);
  CHECK(fixture.server().Stats().requests_in_progress == 1);
  fixture.Open();
  CHECK(Eventually([&] { return fixture.server().Stats().connections_open == 0; }));
  CHECK(fixture.server().Stats().requests_in_progress == 0);
}

TEST_CASE("a thousand kept clients are spread over two loops and served evenly", "[front]") {
  Fixture fixture;
  std::vector<RawClient> clients;
  for (int i = 0; i < 1'000; ++i) clients.push_back(fixture.Client());
  // Rounds in which everybody asks before anybody listens: who is starved never answers.
  for (int round = 0; round < 5; ++round) {
    for (RawClient& client : clients) REQUIRE(client.Send(Get("/")));
    for (RawClient& client : clients) {
      const auto response = client.Receive();
      REQUIRE(response);
      REQUIRE(response->status == 200);
    }
  }
  CHECK(fixture.server().Stats().requests == 5'000);
  CHECK(fixture.server().Stats().connections_open == 1'000);
}

TEST_CASE("while 500 requests wait a plain one does not", "[front]") {
  Fixture fixture;
  std::vector<RawClient> waiters;
  for (int i = 0; i < 500; ++i) {
    waiters.push_back(fixture.Client());
    waiters.back().Send(Get("/wait"));
  }
  REQUIRE(Eventually([&] { return fixture.waiting == 500; }));
  RawClient client = fixture.Client();
  for (int i = 0; i < 200; ++i) REQUIRE(client.Exchange(Get("/"))->status == 200);
  CHECK(fixture.waiting == 500);  // the plain ones were really answered meanwhile
  fixture.Open();
  for (RawClient& waiter : waiters) CHECK(waiter.Receive()->body == "waited");
}

TEST_CASE("draining answers what is in progress and closes the rest", "[front]") {
  Fixture fixture;
  RawClient idle = fixture.Client();
  CHECK(idle.Exchange(Get("/"))->status == 200);
  RawClient waiting = fixture.Client();
  waiting.Send(Get("/wait"));
  REQUIRE(Eventually([&] { return fixture.waiting == 1; }));
  RawClient half = fixture.Client();
  half.Send("GET / HTTP/1.1\r\n");
  const std::string address = fixture.address();
  RawClient fresh = fixture.Client();
  fresh.Send(Get("/fresh"));  // accepted before the listener closes, at the latest while it does

  auto drained = std::async(std::launch::async, [&] { return fixture.server().Drain(10s); });
  CHECK(idle.IsClosed());
  CHECK(fresh.Receive()->status == 200);
  half.Send(kHost + "\r\n");
  const auto last = half.Receive();
  REQUIRE(last);
  CHECK(last->Header("Connection") == "close");
  CHECK_THROWS_AS(RawClient{address}, std::runtime_error);
  fixture.Open();
  const auto waited = waiting.Receive();
  REQUIRE(waited);
  CHECK(waited->body == "waited");
  CHECK(waited->Header("Connection") == "close");
  CHECK(drained.get());
}

TEST_CASE("draining gives up when its time is over", "[front]") {
  Fixture fixture;
  RawClient waiting = fixture.Client();
  waiting.Send(Get("/wait"));
  REQUIRE(Eventually([&] { return fixture.waiting == 1; }));
  CHECK_FALSE(fixture.server().Drain(50ms));
  fixture.DestroyServer();  // waits for the handler, which still uses its fiber
  CHECK(fixture.waiting == 0);
}

std::string SocketPath() {
  return (std::filesystem::temp_directory_path() / fmt::format("gathering-front-{}.sock", ::getpid()))
      .string();
}

TEST_CASE("a Unix-domain socket serves, is private, and is removed at the end", "[front]") {
  const std::string path = SocketPath();
  HttpConfig config = Fixture::Config();
  config.listen = {"unix:" + path, "127.0.0.1:0"};
  {
    Fixture fixture{config};
    CHECK(fixture.server().Addresses().size() == 2);
    CHECK(fixture.address() == "unix:" + path);
    CHECK(fixture.Client().Exchange(Get("/"))->body == "/||unix");
    struct stat found {};
    REQUIRE(::stat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0660);

    Fixture* second = nullptr;
    CHECK_THROWS_AS(second = new Fixture{config}, Error);
    CHECK(second == nullptr);
    CHECK(fixture.Client().Exchange(Get("/"))->status == 200);  // and was not disturbed
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a socket file that nobody serves is replaced, anything else is not", "[front]") {
  const std::string path = SocketPath();
  HttpConfig config = Fixture::Config();
  config.listen = {"unix:" + path};
  {
    Fixture first{config};
    std::filesystem::rename(path, path + ".kept");  // as after a kill: the file stays behind
  }
  std::filesystem::rename(path + ".kept", path);
  CHECK(std::filesystem::is_socket(path));
  { Fixture second{config}; }
  std::ofstream{path} << "precious";
  CHECK_THROWS_AS(Fixture{config}, Error);
  CHECK(std::filesystem::is_regular_file(path));
  std::filesystem::remove(path);
}

TEST_CASE("the control socket is its owner's alone, and its clients are told from all others", "[front]") {
  const std::string path = SocketPath();
  HttpConfig config = Fixture::Config();
  config.limits.connections_per_address_max = 1;
  {
    const Fixture fixture{config, {.path = path, .required = true}};
    CHECK(fixture.Addresses().size() == 1);
    CHECK(fixture.ControlAddress() == "unix:" + path);
    struct stat found {};
    REQUIRE(::stat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
    RawClient first{"unix:" + path, 10s};
    RawClient second{"unix:" + path, 10s};
    CHECK(first.Exchange(Get("/"))->body == "/||control");
    CHECK(second.Exchange(Get("/"))->body == "/||control");
    CHECK(fixture.Client().Exchange(Get("/"))->body == "/||127.0.0.1");

    CHECK_THROWS_AS((Fixture{Fixture::Config(), {.path = path, .required = true}}), Error);
    const Fixture without{Fixture::Config(), {.path = path, .required = false}};
    CHECK(without.ControlAddress().empty());
    CHECK(without.Client().Exchange(Get("/"))->status == 200);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("an address that is taken is named", "[front]") {
  Fixture first;
  HttpConfig config = Fixture::Config();
  config.listen = {first.address()};
  try {
    const Fixture second{config};
    FAIL("two servers share one address");
  } catch (const Error& e) {
    CHECK(e.code == Code::kUnavailable);
    CHECK(std::string{e.what()}.find(first.address()) != std::string::npos);
  }
}

TEST_CASE("a thousand half-sent requests keep nobody from being served", "[front]") {
  HttpConfig config = Fixture::Config();
  config.limits.head_timeout = 500ms;
  config.limits.write_timeout = 500ms;
  Fixture fixture{config};
  std::vector<RawClient> attackers;
  for (int i = 0; i < 1'000; ++i) {
    attackers.push_back(fixture.Client());
    attackers.back().Send(i % 2 == 0 ? "GET / HTTP/1.1\r\nX-" : "");
  }
  for (int i = 0; i < 100; ++i) REQUIRE(StatusOf(fixture, Get("/")) == 200);
  CHECK(Eventually([&] { return fixture.server().Stats().connections_open == 0; }));
  CHECK(fixture.server().Stats().timeouts == 1'000);
}

}  // namespace
}  // namespace gathering::http
