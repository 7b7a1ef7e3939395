// TLS at the daemon's own front: what is served is the same, certificates change while it serves, and who
// speaks something else harms nobody.
#include <catch2/catch.hpp>

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/config/listen.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/notifications.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/raw_client.h"
#include "tests/support/shared.h"
#include "tests/support/sockets.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tls_session.h"
#include "tests/support/ws_client_frames.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kOpenssl = "/usr/bin/openssl";
constexpr const char* kName = "gathering.example";

std::string TextOf(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// A certificate for kName and loopback that signs itself.
void MakeCertificate(const std::string& certificate, const std::string& key, int days = 90,
                     const std::vector<std::string>& more = {"-nodes"}) {
  std::vector<std::string> arguments = {"req",      "-x509",
                                        "-newkey",  "ec",
                                        "-pkeyopt", "ec_paramgen_curve:prime256v1",
                                        "-keyout",  key,
                                        "-out",     certificate,
                                        "-days",    std::to_string(days),
                                        "-subj",    fmt::format("/CN={}", kName),
                                        "-addext",  fmt::format("subjectAltName=DNS:{},IP:127.0.0.1", kName)};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const ProcessResult made = Run(kOpenssl, {.arguments = arguments});
  if (made.code != 0) throw std::runtime_error{made.err};
}

std::string Get(std::string_view path, std::string_view fields = {}) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n{}\r\n", path, kName, fields);
}

std::string Post(std::string_view path, const json& body) {
  const std::string text = body.dump();
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", path,
      kName, text.size(), text);
}

// A daemon that serves under TLS, and its administrators at the control socket.
class World {
 public:
  explicit World(std::map<std::string, std::string> environment = {}, std::vector<std::string> arguments = {})
      : daemon_(Options(std::move(environment), std::move(arguments))),
        admin_("unix:" + daemon_.data_dir() + "/control.sock") {
    heard_.Await("READY=1");
  }

  [[nodiscard]] RunningDaemon& daemon() { return daemon_; }
  [[nodiscard]] HttpClient& admin() { return admin_; }
  [[nodiscard]] RawClient Client() const { return RawClient{daemon_.address()}; }
  [[nodiscard]] RawClient WithoutTls(std::chrono::milliseconds patience = 10s) const {
    return RawClient{daemon_.address().substr(config::kTlsPrefix.size()), patience};
  }
  [[nodiscard]] const std::string& certificate() const { return certificate_; }
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] std::string In(std::string_view name) const {
    return fmt::format("{}/{}", directory_.path(), name);
  }

  // Whether what was read again is in force.
  bool Reload() {
    daemon_.Signal(SIGHUP);
    heard_.Await("RELOADING=1");
    return heard_.Await("READY=1").find("not read again") == std::string::npos;
  }
  // An administrator's token, which is asked for under TLS, too.
  [[nodiscard]] std::string Authorization() const {
    const auto answer =
        Client().Exchange(Post("/auth/login/json", {{"email", kAdminEmail}, {"password", kAdminPassword}}));
    return fmt::format("Authorization: Bearer {}\r\n",
                       json::parse(answer->body).at("access_token").get<std::string>());
  }
  // A sample of /metrics without labels.
  [[nodiscard]] double Metric(std::string_view name) {
    const std::string text = admin_.Get("/metrics").body;
    const std::size_t at = text.find(fmt::format("\n{} ", name));
    double value = -1;
    if (at != std::string::npos)
      std::from_chars(text.data() + at + name.size() + 2, text.data() + text.size(), value);
    return value;
  }
  bool Serves() { return Client().Exchange(Get("/health/live"))->status == 200; }

 private:
  DaemonOptions Options(std::map<std::string, std::string> environment, std::vector<std::string> arguments) {
    MakeCertificate(certificate_, key_);
    environment.try_emplace("GATHERING_HTTP_TLS_CERTIFICATE", certificate_);
    environment.try_emplace("GATHERING_HTTP_TLS_KEY", key_);
    environment["NOTIFY_SOCKET"] = heard_.name();
    return {.database_url = database_.url(),
            .arguments = std::move(arguments),
            .listen = "tls:127.0.0.1:0",
            .environment = std::move(environment)};
  }

  TemporaryDirectory directory_;
  const std::string certificate_ = In("certificate.pem");
  const std::string key_ = In("key.pem");
  Notifications heard_{In("notify")};
  FreshDatabase database_;
  RunningDaemon daemon_;
  HttpClient admin_;
};

// What a daemon that must not start says; its exit code is that of a wrong configuration.
std::string WhyNot(const std::string& certificate, const std::string& key,
                   const std::string& listen = "tls:127.0.0.1:0") {
  TemporaryDirectory data;
  FreshDatabase database;
  const ProcessResult run = Run(
      GATHERING_BINARY, {.arguments = {"serve", "--migrate", "--listen", listen, "--data-dir", data.path()},
                         .environment = {{"DATABASE_URL", database.url()},
                                         {"SECRET_KEY", std::string(40, 'k')},
                                         {"GATHERING_HTTP_TLS_CERTIFICATE", certificate},
                                         {"GATHERING_HTTP_TLS_KEY", key}}});
  CHECK(run.code == 78);
  return run.err;
}

void Says(const std::string& text, std::string_view part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("a client who verifies is answered under TLS, whatever it asks for") {
  World& world = Shared<World>();
  const std::string place = world.daemon().address().substr(config::kTlsPrefix.size());
  const std::string port = place.substr(place.rfind(':') + 1);
  const auto curl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"-sS", "--max-time", "20", "--cacert", world.certificate(),
                                         "--resolve", fmt::format("{}:{}:127.0.0.1", kName, port)});
    return Run("/usr/bin/curl", {.arguments = arguments});
  };
  const std::string base = fmt::format("https://{}:{}", kName, port);
  CHECK(curl({"--fail", base + "/health/live"}).code == 0);
  CHECK(curl({"-o", "/dev/null", "-w", "%{http_code}", base + "/agents"}).out == "401");
  CHECK(curl({"--fail", "-d", fmt::format("username={}&password={}", kAdminEmail, kAdminPassword),
              base + "/auth/login"})
            .out.find("access_token") != std::string::npos);
  // Another name than the certificate's is the client's to refuse.
  CHECK(Run("/usr/bin/curl", {.arguments = {"-sS", "--cacert", world.certificate(), "--resolve",
                                            fmt::format("evil.example:{}:127.0.0.1", port),
                                            fmt::format("https://evil.example:{}/health/live", port)}})
            .code == 60);
}

TEST_CASE("one connection under TLS carries many requests, long bodies both ways, and any fragmentation") {
  World& world = Shared<World>();
  const std::string authorization = world.Authorization();
  RawClient client = world.Client();
  SECTION("in turns") {
    for (int i = 0; i < 50; ++i) REQUIRE(client.Exchange(Get("/health/live"))->status == 200);
  }
  SECTION("pipelined in one record") {
    std::string many;
    for (int i = 0; i < 40; ++i) many += Get(fmt::format("/nothing/{}", i));
    REQUIRE(client.Send(many));
    for (int i = 0; i < 40; ++i) CHECK(client.Receive()->status == 401);
  }
  SECTION("a byte a record") {
    const std::string request = Get("/health/live", "Connection: close\r\n");
    for (const char byte : request) REQUIRE(client.Send({&byte, 1}));
    CHECK(client.Receive()->status == 200);
    CHECK(client.IsClosed());
  }
  SECTION("a body of many records") {
    const std::string text(99'000, 'x');
    const std::string body = json{{"display_name", "Long"}, {"role", "R"}, {"base_prompt", text}}.dump();
    REQUIRE(
        client.Send(fmt::format("POST /personas HTTP/1.1\r\nHost: a\r\n{}Content-Type: application/json\r\n"
                                "Content-Length: {}\r\n\r\n{}",
                                authorization, body.size(), body)));
    const auto made = client.Receive();
    REQUIRE(made);
    INFO(made->body.substr(0, 300));
    REQUIRE(made->status == 201);
    const auto read = client.Exchange(
        Get(fmt::format("/personas/{}", json::parse(made->body).at("id").dump()), authorization));
    REQUIRE(read);
    CHECK(json::parse(read->body).at("base_prompt") == text);
  }
  SECTION("an answer after 100 Continue") {
    const std::string body = json{{"name", "later"}}.dump();
    REQUIRE(
        client.Send(fmt::format("POST /circles HTTP/1.1\r\nHost: a\r\n{}Content-Type: application/json\r\n"
                                "Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                                authorization, body.size())));
    REQUIRE(client.Receive()->status == 100);
    CHECK(client.Exchange(body)->status == 201);
  }
}

TEST_CASE("answers that do not fit into the socket go on where they were, each byte once") {
  World& world = Shared<World>();
  RawClient reader = world.Client();
  const std::string document = reader.Exchange(Get("/openapi.json"))->body;
  REQUIRE(document.size() > 100'000);
  reader.SetReceiveBuffer(65'536);
  constexpr int kAnswers = 80;  // more than the kernel keeps
  std::string many;
  for (int i = 0; i < kAnswers; ++i) many += Get("/openapi.json");
  REQUIRE(reader.Send(many));
  CHECK(world.Serves());
  for (int i = 0; i < kAnswers; ++i) {
    const auto answer = reader.Receive();
    REQUIRE(answer);
    CHECK(answer->body == document);
  }
}

TEST_CASE("who does not read is cut off under TLS as without it") {
  World world{{{"GATHERING_HTTP_LIMITS_WRITE_TIMEOUT", "200ms"}}};
  RawClient reader = world.Client();
  reader.SetReceiveBuffer(4'096);
  std::string many;
  for (int i = 0; i < 200; ++i) many += Get("/openapi.json");
  reader.Send(many);
  CHECK(Eventually([&] { return world.Metric("gathering_http_timeouts_total") >= 1; }, 10s));
  CHECK(world.Serves());
}

TEST_CASE("TLS 1.2 and 1.3 are spoken, older versions and other protocols are not") {
  World world;
  const auto shake = [&](TlsOptions options) {
    RawClient plain = world.WithoutTls();
    TlsSession session{plain.descriptor(), options};
    return std::pair{session.version(), session.protocol()};
  };
  CHECK(shake({}) == std::pair<std::string, std::string>{"TLSv1.3", ""});
  CHECK(shake({.version = TLS1_2_VERSION}).first == "TLSv1.2");
  CHECK(shake({.version = TLS1_3_VERSION}).first == "TLSv1.3");
  CHECK(shake({.protocols = {"h2", "http/1.1"}}).second == "http/1.1");
  CHECK(shake({.protocols = {"http/1.1"}}).second == "http/1.1");
  CHECK(world.Metric("gathering_tls_handshakes_total") == 5);
  CHECK_THROWS_WITH(shake({.version = TLS1_1_VERSION}), Catch::Contains("protocol version"));
  CHECK_THROWS_WITH(shake({.version = TLS1_VERSION}), Catch::Contains("protocol version"));
  CHECK_THROWS_WITH(shake({.protocols = {"h2"}}), Catch::Contains("no application protocol"));
  CHECK(world.Metric("gathering_tls_handshakes_failed_total") == 3);
  CHECK(world.Metric("gathering_tls_handshakes_total") == 5);
  CHECK(world.Serves());
}

TEST_CASE("a client that comes again resumes its session, and new keys in the middle change nothing") {
  World& world = Shared<World>();
  RawClient first = world.Client();
  REQUIRE(first.Exchange(Get("/health/live"))->status == 200);
  const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> ticket{
      SSL_get1_session(first.tls()->native()), &SSL_SESSION_free};
  RawClient plain = world.WithoutTls();
  TlsSession again{plain.descriptor(), {.resume = ticket.get()}};
  CHECK(SSL_session_reused(again.native()) == 1);

  for (int i = 0; i < 5; ++i) {
    REQUIRE(SSL_key_update(first.tls()->native(), SSL_KEY_UPDATE_REQUESTED) == 1);
    CHECK(first.Exchange(Get("/health/live"))->status == 200);
  }
}

TEST_CASE("who asks to negotiate again gets no second handshake, and the others are served") {
  World world;
  RawClient plain = world.WithoutTls(2s);
  TlsSession session{plain.descriptor(), {.version = TLS1_2_VERSION}};
  REQUIRE(session.Send(Get("/health/live")));
  SSL_renegotiate(session.native());
  SSL_do_handshake(session.native());
  CHECK(world.Metric("gathering_tls_handshakes_total") == 1);
  CHECK(world.Serves());
}

TEST_CASE("a flood of messages that only change keys does not hold up who shares its loop") {
  World world{{{"GATHERING_HTTP_LOOPS", "1"}}};
  RawClient attacker = world.Client();
  const std::string flood = attacker.tls()->KeyUpdates(300'000);
  REQUIRE(flood.size() > 5'000'000);
  RawClient other = world.Client();
  REQUIRE(other.Exchange(Get("/health/live"))->status == 200);
  auto sent = std::async(std::launch::async, [&] {
    std::string_view rest = flood;
    while (!rest.empty()) {
      const ssize_t count = ::send(attacker.descriptor(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
  });
  std::vector<std::chrono::steady_clock::duration> times;
  constexpr std::size_t kEnough = 500;  // a connection ends after 1,000 requests
  while (times.size() < kEnough && sent.wait_for(0s) != std::future_status::ready) {
    const auto begin = std::chrono::steady_clock::now();
    const auto answer = other.Exchange(Get("/health/live"));
    REQUIRE(answer);
    CHECK(answer->status == 200);
    times.push_back(std::chrono::steady_clock::now() - begin);
  }
  REQUIRE(times.size() >= 20);
  const auto slow = times.begin() + static_cast<std::ptrdiff_t>(times.size() * 9 / 10);
  std::nth_element(times.begin(), slow, times.end());
  CHECK(*slow < 100ms);
}

TEST_CASE("what is no TLS, or only part of it, is answered with no HTTP and holds up nobody") {
  World world{{{"GATHERING_HTTP_LIMITS_HEAD_TIMEOUT", "500ms"}}};
  const std::string hello = ClientHello();
  std::string broken = hello;
  broken[6] = '\x7f';  // a length that is not there
  const std::vector<std::string> wrong = {
      Get("/health/live"),
      "\x16\x03\x01",
      "\x16\x03\x01\xff\xff" + std::string(70'000, 'a'),
      "\x17\x03\x03\x00\x05hello",
      "\x15\x03\x03\x00\x02\x02\x28",
      std::string(20'000, '\0'),
      broken,
  };
  for (const std::string& bytes : wrong) {
    RawClient client = world.WithoutTls();
    client.Send(bytes);
    const std::string said = client.ReceiveAll();
    INFO(bytes.size());
    CHECK(said.find("HTTP") == std::string::npos);
    CHECK(client.IsClosed());  // not later than the deadline of a head
  }
  CHECK(world.Metric("gathering_tls_handshakes_failed_total") >= 4);
  CHECK(world.Metric("gathering_tls_handshakes_total") == 0);
  SECTION("cut off after every byte of its hello") {
    for (std::size_t i = 0; i <= hello.size(); ++i) {
      RawClient client = world.WithoutTls();
      client.Send(std::string_view{hello}.substr(0, i));
    }
  }
  SECTION("its hello one byte at a time") {
    RawClient client = world.WithoutTls(400ms);
    for (const char byte : hello) REQUIRE(client.Send({&byte, 1}));
    CHECK(client.ReceiveAll().starts_with("\x16\x03\x03"));  // the server's hello
  }
  SECTION("nonsense after a handshake") {
    RawClient client = world.Client();
    REQUIRE(client.Exchange(Get("/health/live"))->status == 200);
    const std::string nonsense = "\x17\x03\x03\x00\x20" + std::string(32, 'n');
    REQUIRE(::send(client.descriptor(), nonsense.data(), nonsense.size(), MSG_NOSIGNAL) > 0);
    CHECK_FALSE(client.Receive());
  }
  CHECK(world.Serves());
  CHECK(
      Eventually([&] { return world.Metric("gathering_http_connections") <= 1; }, 10s));  // the one that asks
}

TEST_CASE(
    "hundreds who begin a handshake and wait are cut off at the deadline of a head, and others are served") {
  World world{{{"GATHERING_HTTP_LIMITS_HEAD_TIMEOUT", "1s"},
               {"GATHERING_HTTP_LIMITS_CONNECTIONS_PER_ADDRESS_MAX", "1000"}}};
  const std::string hello = ClientHello();
  std::vector<RawClient> waiting;
  for (int i = 0; i < 500; ++i) {
    waiting.push_back(world.WithoutTls());
    waiting.back().Send(std::string_view{hello}.substr(0, static_cast<std::size_t>(i) % hello.size()));
  }
  CHECK(world.Serves());
  for (RawClient& client : waiting) CHECK(client.IsClosed());
  CHECK(world.Metric("gathering_http_timeouts_total") == 500);
}

TEST_CASE("a reload shows the renewed certificate to who comes, and who is there goes on") {
  World world;
  RawClient before = world.Client();
  const std::string old = before.tls()->fingerprint();
  CHECK(world.Metric("gathering_tls_certificate_not_after_seconds") > 1e9);
  MakeCertificate(world.certificate(), world.key(), 365);
  CHECK(world.Client().tls()->fingerprint() == old);  // until it is told
  REQUIRE(world.Reload());
  const std::string renewed = world.Client().tls()->fingerprint();
  CHECK(renewed != old);
  CHECK(before.Exchange(Get("/health/live"))->status == 200);
  Await([&] { return world.daemon().Log().find(renewed) != std::string::npos; });

  REQUIRE(world.Reload());  // nothing new, nothing told
  const std::string log = world.daemon().Log();
  CHECK(log.find(renewed) == log.rfind(renewed));
}

TEST_CASE("a certificate that cannot be shown is refused at a reload, and the one before stays") {
  World world;
  const std::string shown = world.Client().tls()->fingerprint();
  const std::string other_key = world.In("other.key");
  MakeCertificate(world.In("other.pem"), other_key);
  const std::string good_certificate = TextOf(world.certificate());
  const std::string good_key = TextOf(world.key());
  const auto write = [](const std::string& file, std::string_view text) { std::ofstream{file} << text; };
  const auto refused = [&](std::string_view why) {
    CHECK_FALSE(world.Reload());
    INFO(why);
    Await([&] { return world.daemon().Log().find(why) != std::string::npos; });
    CHECK(world.Client().tls()->fingerprint() == shown);
    write(world.certificate(), good_certificate);
    write(world.key(), good_key);
  };
  write(world.certificate(), "");
  refused("it holds no certificate in PEM");
  write(world.certificate(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  refused("it holds no certificate in PEM");
  fs::remove(world.certificate());
  refused("No such file or directory");
  write(world.key(), "");
  refused("it holds no private key in PEM");
  write(world.key(), TextOf(other_key));
  refused("the key is not that of the certificate");
  write(world.key(), good_certificate);
  refused("it holds no private key in PEM");
  MakeCertificate(world.In("closed.pem"), world.In("closed.key"), 90, {"-passout", "pass:secret-of-a-key"});
  write(world.key(), TextOf(world.In("closed.key")));
  refused("the key has a passphrase");
  CHECK(world.Reload());
  CHECK(world.daemon().Log().find("secret-of-a-key") == std::string::npos);
}

TEST_CASE("the daemon does not start with a certificate that it cannot show, and says which file is wrong") {
  TemporaryDirectory directory;
  const std::string certificate = directory.path() + "/certificate.pem";
  const std::string key = directory.path() + "/key.pem";
  MakeCertificate(certificate, key);
  const std::string missing = directory.path() + "/missing.pem";
  Says(WhyNot(missing, key), missing + ": No such file or directory");
  Says(WhyNot(certificate, missing), missing + ": No such file or directory");
  Says(WhyNot(key, certificate), key + ": it holds no certificate in PEM");
  Says(WhyNot(certificate, ""), certificate + ": it holds no private key in PEM");
  Says(WhyNot(directory.path(), key), directory.path() + ": ");
  Says(WhyNot("", ""), "'tls:127.0.0.1:0': http.tls.certificate must name a certificate");
  Says(WhyNot("", key), "http.tls.key is of no use without http.tls.certificate");
  Says(WhyNot(certificate, key, "tls:unix:/tmp/a.sock"), "a socket file has no TLS");
  Says(WhyNot(certificate, key, "tls:127.0.0.1"), "the port is missing");
}

TEST_CASE("certificate and key may be in one file") {
  TemporaryDirectory directory;
  const std::string both = directory.path() + "/both.pem";
  MakeCertificate(directory.path() + "/c.pem", directory.path() + "/k.pem");
  std::ofstream{both} << TextOf(directory.path() + "/k.pem") << TextOf(directory.path() + "/c.pem");
  World world{{{"GATHERING_HTTP_TLS_CERTIFICATE", both}, {"GATHERING_HTTP_TLS_KEY", ""}}};
  CHECK(world.Serves());
}

TEST_CASE("one daemon serves with and without TLS, and a socket passed as tls is under TLS") {
  SECTION("two addresses") {
    World world{{}, {"--listen", "127.0.0.1:0"}};
    std::vector<std::string> addresses;
    std::istringstream log{world.daemon().Log()};
    for (std::string line; std::getline(log, line);) {
      const json parsed = json::parse(line, nullptr, false);
      if (parsed.value("msg", "") == "listening") addresses.push_back(parsed.at("address"));
    }
    REQUIRE(addresses.size() == 2);
    for (const std::string& address : addresses) {
      INFO(address);
      CHECK(RawClient{address}.Exchange(Get("/health/live"))->status == 200);
    }
    CHECK(std::count_if(addresses.begin(), addresses.end(),
                        [](const auto& address) { return address.starts_with(config::kTlsPrefix); }) == 1);
  }
  SECTION("a passed socket") {
    TemporaryDirectory directory;
    MakeCertificate(directory.path() + "/c.pem", directory.path() + "/k.pem");
    FreshDatabase database;
    const Fd socket = ListenOnLoopback();
    RunningDaemon daemon{{.database_url = database.url(),
                          .environment = {{"LISTEN_FDNAMES", "tls"},
                                          {"GATHERING_HTTP_TLS_CERTIFICATE", directory.path() + "/c.pem"},
                                          {"GATHERING_HTTP_TLS_KEY", directory.path() + "/k.pem"}},
                          .passed = {socket.get()}}};
    CHECK(daemon.address() == "tls:" + AddressOf(socket));
    CHECK(RawClient{daemon.address()}.Exchange(Get("/health/live"))->status == 200);
  }
}

TEST_CASE("streams go over TLS, and a daemon that stops says goodbye in every layer") {
  World world;
  const std::string authorization = world.Authorization();
  RawClient socket = world.Client();
  REQUIRE(socket.Send(
      Get("/ws", authorization + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")));
  REQUIRE(socket.Receive()->status == 101);
  REQUIRE(socket.Send(TextFrame(json{{"type", "ping"}}.dump())));
  RawClient events = world.Client();
  REQUIRE(events.Send(Get("/events/stream", authorization)));
  Await([&] { return world.Metric("gathering_event_streams") >= 2; });
  REQUIRE(world.admin().Post("/circles", {{"name", "under-tls"}}).status == 201);
  REQUIRE(events.ReceiveUntil("under-tls"));
  RawClient idle = world.Client();
  REQUIRE(idle.Exchange(Get("/health/live"))->status == 200);

  world.daemon().Signal(SIGTERM);
  events.ReceiveAll();
  const std::string frames = socket.ReceiveAll();
  const std::string going_away = "\x03\xe9";
  CHECK(frames.find(going_away) != std::string::npos);
  CHECK(idle.IsClosed());
  for (RawClient* one : {&socket, &events, &idle})
    CHECK((SSL_get_shutdown(one->tls()->native()) & SSL_RECEIVED_SHUTDOWN) != 0);
  CHECK(world.daemon().Wait() == 0);
}

TEST_CASE("doctor looks at the certificate, its key and who listens under TLS") {
  World world;
  const auto doctor = [&](const std::string& certificate, const std::string& key) {
    const ProcessResult run = Run(
        GATHERING_BINARY,
        {.arguments = {"doctor", "--output", "json", "--listen", world.daemon().address(), "--data-dir",
                       world.daemon().data_dir()},
         .environment = {{"GATHERING_HTTP_TLS_CERTIFICATE", certificate}, {"GATHERING_HTTP_TLS_KEY", key}}});
    const json told = json::parse(run.out);
    std::map<std::string, json> findings;
    for (const json& finding : told.at("checks")) findings[finding.at("name")] = finding;
    return findings;
  };
  auto good = doctor(world.certificate(), world.key());
  CHECK(good["tls.certificate"].at("verdict") == "ok");
  Says(good["tls.certificate"].at("found"), "CN=gathering.example");
  Says(good["tls.certificate"].at("found"), "89 days left");
  CHECK(good["tls.key"].at("verdict") == "ok");
  Says(good["listen " + world.daemon().address()].at("found"), "serves there");

  MakeCertificate(world.In("short.pem"), world.In("short.key"), 3);
  fs::permissions(world.In("short.key"), fs::perms::owner_read | fs::perms::others_read);
  auto poor = doctor(world.In("short.pem"), world.In("short.key"));
  CHECK(poor["tls.certificate"].at("verdict") == "warning");
  CHECK(poor["tls.key"].at("verdict") == "warning");
  auto wrong = doctor(world.In("short.pem"), world.key());
  CHECK(wrong["tls.certificate"].at("verdict") == "failed");
  CHECK(wrong["tls.key"].at("verdict") == "skipped");
  CHECK(doctor("", "")["tls.certificate"].at("verdict") == "skipped");
}

}  // namespace gathering::test
