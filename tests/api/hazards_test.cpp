// What the packaged cpp-httplib does wrong with hostile input, and that none of it reaches through our front:
// 26 facts by number, each proven here against a running daemon or by the test that is named.
#include <catch2/catch.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "core/base/clock.h"
#include "core/config/config.h"
#include "daemon/http/server.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/raw_client.h"
#include "tests/support/shared.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// Where a fact is proven that this file does not prove.
struct Elsewhere {
  int number;
  const char* fact;
  const char* file;
  const char* test;
};

constexpr const char* kFront = "tests/api/front_test.cpp";
constexpr Elsewhere kElsewhere[] = {
    {2, "fields are counted", kFront, "limits answer at the bound and not before"},
    {4, "an encoded body is not inflated", kFront, "hostile requests get one allowed answer and never two"},
    {5, "an oversize body is not read to its end", kFront,
     "an answer to an unread body arrives before the connection goes"},
    {8, "a message's end is never in doubt", kFront, "hostile requests get one allowed answer and never two"},
    {10, "bare line feeds, hosts and trailers are checked", kFront,
     "hostile requests get one allowed answer and never two"},
    {11, "pipelined requests are not lost", kFront, "pipelined requests are answered in their order"},
    {12, "a POST without a length does not block", "tests/unit/gate_test.cpp",
     "a POST without a length has an empty body"},
    {13, "half-open connections hold up nobody", kFront,
     "a thousand half-sent requests keep nobody from being served"},
    {14, "what waits is bounded", kFront,
     "more requests in progress than the limit are refused before their body is read"},
    {16, "an address belongs to one daemon", kFront, "an address that is taken is named"},
    {20, "an exception's text stays inside", kFront,
     "a handler that fails is answered with 500 and no word of why"},
    {21, "an exception ends a request, not the process", kFront,
     "a handler that fails is answered with 500 and no word of why"},
    {24, "methods are answered as HTTP says", "tests/api/sweep_test.cpp", "every route keeps its promises"},
    {25, "bodies in parts are not parsed", "tests/api/json_bodies_test.cpp",
     "a JSON body that breaks the rules is refused at once, with its reason and without a trace"},
};
constexpr int kHere[] = {1, 3, 6, 7, 9, 15, 17, 18, 19, 22, 23, 26};
constexpr int kFacts = 26;

std::string FileText(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The number behind a name of /proc/PID/status; kilobytes for memory.
std::size_t FromStatus(pid_t pid, const std::string& name) {
  const std::string status = FileText(fmt::format("/proc/{}/status", pid));
  return std::stoul(status.substr(status.find(name + ":") + name.size() + 1));
}

std::size_t OpenFiles(pid_t pid) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator{fmt::format("/proc/{}/fd", pid)}, {}));
}

std::string Get(const std::string& path, const std::string& fields = {}) {
  return "GET " + path + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

// Sends until the server has enough of it.
void SendMuch(RawClient& client, const std::string& piece, std::size_t times) {
  for (std::size_t i = 0; i < times && client.Send(piece); ++i) {
  }
}

struct Scene {
  FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url()}};
  [[nodiscard]] RawClient Client() const { return RawClient{daemon.address()}; }
};

// A server that sends everybody elsewhere and counts who comes.
class Redirector {
 public:
  explicit Redirector(std::string location) : location_(std::move(location)) { server_.Start(); }

  [[nodiscard]] std::string url() const { return "http://" + server_.Addresses().front(); }
  std::atomic<int> requests{0};

 private:
  static HttpConfig Config() {
    HttpConfig config;
    config.listen = {"127.0.0.1:0"};
    config.loops = 1;
    return config;
  }

  const std::string location_;
  const SystemClock clock_;
  http::Server server_{
      Config(),
      clock_,
      {.handler =
           [this](const http::Request&, const http::Context&, http::Response& response) {
             ++requests;
             response.status = location_.empty() ? 200 : 302;
             if (!location_.empty()) response.Set("Location", location_);
           },
       .refusal = [](int status, std::string_view, http::Response& response) { response.status = status; }},
      {}};
};

}  // namespace

TEST_CASE("each of the 26 facts is proven somewhere") {
  std::set<int> numbers{std::begin(kHere), std::end(kHere)};
  const std::filesystem::path source{GATHERING_SOURCE_DIR};
  for (const Elsewhere& row : kElsewhere) {
    INFO("hazard " << row.number << ": " << row.fact);
    CHECK(numbers.insert(row.number).second);
    CHECK(FileText(source / row.file).find(fmt::format("TEST_CASE(\"{}\"", row.test)) != std::string::npos);
  }
  CHECK(numbers.size() == kFacts);
  CHECK(*numbers.rbegin() == kFacts);
  const std::string own = FileText(source / "tests/api/hazards_test.cpp");
  for (const int number : kHere) {
    INFO("hazard " << number);
    CHECK(own.find(fmt::format("SECTION(\"hazard {}: ", number)) != std::string::npos);
  }
}

TEST_CASE("what a client sends without an end costs what the limits allow") {
  Scene scene;
  RawClient client = scene.Client();
  REQUIRE(client.Exchange(Get("/health/live"))->status == 200);
  const std::size_t before = FromStatus(scene.daemon.pid(), "VmRSS");
  constexpr std::size_t kGrowthKilobytesMax = 8'192;
  SECTION("hazard 1: a line without an end is not collected") {
    for (const char* begin : {"GET /", "GET / HTTP/1.1\r\nHost: a\r\nX: ", "POST / HTTP/1.1\r\nHost: "}) {
      RawClient attacker = scene.Client();
      attacker.Send(begin);
      SendMuch(attacker, std::string(65'536, 'a'), 512);
      const auto answer = attacker.Receive();
      if (answer) CHECK((answer->status == 414 || answer->status == 431));
      CHECK(attacker.IsClosed());
    }
  }
  SECTION("hazard 3: chunks are counted like any body") {
    for (const std::size_t size : {16U, 4'096U, 65'536U}) {
      RawClient attacker = scene.Client();
      attacker.Send("POST /circles HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      const std::string chunk = fmt::format("{:x}\r\n{}\r\n", size, std::string(size, 'a'));
      std::string piece;
      while (piece.size() < 65'536) piece += chunk;
      SendMuch(attacker, piece, 512);
      const auto answer = attacker.Receive();
      if (answer) CHECK(answer->status == 413);
      CHECK(attacker.IsClosed());
    }
  }
  CHECK(client.Exchange(Get("/health/live"))->status == 200);
  CHECK(FromStatus(scene.daemon.pid(), "VmRSS") < before + kGrowthKilobytesMax);
}

TEST_CASE("what a client writes in a field stays what it wrote") {
  Scene& scene = Shared<Scene>();
  RawClient client = scene.Client();
  SECTION("hazard 6: escapes in values are not decoded, and nothing of them comes back as a line") {
    for (const char* name : {"Origin", "X-Request-ID", "If-None-Match", "Idempotency-Key", "Authorization"}) {
      INFO(name);
      const auto answer = client.Exchange(Get("/agents", fmt::format("{}: a%0d%0aInjected: yes\r\n", name)));
      REQUIRE(answer);
      CHECK_FALSE(answer->Has("Injected"));
      for (const auto& [field, value] : answer->headers) CHECK(value.find("Injected") == std::string::npos);
    }
    const auto redirect = client.Exchange(Get("/circles/c%0d%0aInjected:%20yes/",
                                              "Authorization: Bearer " + scene.daemon.AdminToken() + "\r\n"));
    REQUIRE(redirect);
    CHECK(redirect->status == 307);
    CHECK_FALSE(redirect->Has("Injected"));
  }
  SECTION("hazard 7: nobody has another address by saying so") {
    const std::string id = "6f9619ff-8b86-4d01-b42d-00c04fc964ff";
    const auto answer = client.Exchange(
        Get("/agents",
            "REMOTE_ADDR: 6.6.6.6\r\nREMOTE_PORT: 6\r\nLOCAL_ADDR: 6.6.6.6\r\nX-Real-IP: "
            "6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Request-ID: " +
                id + "\r\n"));
    REQUIRE(answer);
    CHECK(answer->Header("X-Request-ID") == id);
    Await([&] { return scene.daemon.Log().find(id) != std::string::npos; });
    const std::string log = scene.daemon.Log();
    CHECK(log.find("6.6.6.6") == std::string::npos);
    CHECK(log.find("\"peer\":\"127.0.0.1\",\"client\":\"127.0.0.1\"") != std::string::npos);
  }
}

TEST_CASE("one request has one answer, whatever its body and its ranges") {
  Scene& scene = Shared<Scene>();
  RawClient client = scene.Client();
  const std::string smuggled = Get("/smuggled");
  const auto answers = [&](const std::string& bytes) {
    RawClient once = scene.Client();
    once.Send(bytes);
    once.FinishSending();
    return test::SplitResponses(once.ReceiveAll()).size();
  };
  SECTION("hazard 9: a body belongs to its request, whatever the method") {
    for (const char* method : {"GET", "OPTIONS", "DELETE", "PUT", "PATCH", "POST"}) {
      INFO(method);
      CHECK(answers(fmt::format("{} /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", method,
                                smuggled.size(), smuggled)) == 1);
      CHECK(answers(fmt::format("{} /health/live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "{:x}\r\n{}\r\n0\r\n\r\n",
                                method, smuggled.size(), smuggled)) == 1);
    }
  }
  SECTION("hazard 18: a long path, a deep path and one of escapes are looked up like any other") {
    std::string deep;
    while (deep.size() < 1'000) deep += "/a";
    std::string escaped = "/";
    while (escaped.size() < 1'000) escaped += "%41";
    for (const std::string& path :
         {deep, escaped, "/" + std::string(1'000, '/'), "/" + std::string(1'000, 'a')})
      CHECK(client.Exchange(Get(path))->status == 401);
    CHECK(client.Exchange(Get("/" + std::string(8'000, 'a')))->status == 414);
  }
  SECTION("hazard 19: ranges are not served, so that they multiply nothing") {
    std::string ranges = "Range: bytes=0-";
    for (int i = 0; i < 2'600; ++i) ranges += ",0-";
    const std::size_t whole = client.Exchange(Get("/openapi.json"))->body.size();
    for (const std::string& range :
         {ranges, std::string{"Range: bytes=0-0"}, std::string{"Range: bytes=-1"}}) {
      const auto answer = client.Exchange(Get("/openapi.json", range + "\r\n"));
      REQUIRE(answer);
      CHECK(answer->status == 200);
      CHECK(answer->body.size() == whole);
      CHECK_FALSE(answer->Has("Content-Range"));
    }
  }
  SECTION("hazard 22: nothing is compressed at a client's wish") {
    for (const char* codings : {"br", "gzip, deflate, br", "*", "br;q=1.0, identity;q=0"}) {
      INFO(codings);
      const auto answer =
          client.Exchange(Get("/openapi.json", fmt::format("Accept-Encoding: {}\r\n", codings)));
      REQUIRE(answer);
      CHECK(answer->status == 200);
      CHECK_FALSE(answer->Has("Content-Encoding"));
      CHECK(json::accept(answer->body));
    }
  }
  SECTION("hazard 23: an answer does not wait for the client's kernel") {
    std::vector<std::chrono::steady_clock::duration> times;
    for (int i = 0; i < 21; ++i) {
      const auto before = std::chrono::steady_clock::now();
      REQUIRE(client.Exchange(Get("/health/live"))->status == 200);
      times.push_back(std::chrono::steady_clock::now() - before);
    }
    std::nth_element(times.begin(), times.begin() + 5, times.end());
    CHECK(times[5] < 35ms);  // a delayed acknowledgement takes 40
  }
}

TEST_CASE("descriptors are neither lent to children nor the end of listening") {
  Scene scene;
  const pid_t pid = scene.daemon.pid();
  RawClient kept = scene.Client();
  REQUIRE(kept.Exchange(Get("/health/live"))->status == 200);
  SECTION("hazard 15: who finds no descriptor waits until there is one") {
    rlimit before{};
    REQUIRE(::prlimit(pid, RLIMIT_NOFILE, nullptr, &before) == 0);
    const rlimit few{.rlim_cur = OpenFiles(pid) + 3, .rlim_max = before.rlim_max};
    REQUIRE(::prlimit(pid, RLIMIT_NOFILE, &few, nullptr) == 0);
    std::vector<RawClient> waiting;
    for (int i = 0; i < 12; ++i) {
      waiting.emplace_back(scene.daemon.address(), 200ms);
      waiting.back().Send(Get("/health/live"));
    }
    const auto unanswered = std::count_if(waiting.begin(), waiting.end(),
                                          [](RawClient& client) { return !client.Receive().has_value(); });
    CHECK(unanswered > 0);  // or nothing was tried
    CHECK(kept.Exchange(Get("/health/live"))->status == 200);
    waiting.clear();
    CHECK(scene.Client().Exchange(Get("/health/live"))->status == 200);
    REQUIRE(::prlimit(pid, RLIMIT_NOFILE, &before, nullptr) == 0);
    CHECK(scene.Client().Exchange(Get("/health/live"))->status == 200);
  }
  SECTION("hazard 17: every socket is closed in a child") {
    constexpr unsigned long kCloseOnExec = 02000000;
    int sockets = 0;
    for (const auto& entry : std::filesystem::directory_iterator{fmt::format("/proc/{}/fd", pid)}) {
      std::error_code gone;
      if (!std::filesystem::read_symlink(entry.path(), gone).string().starts_with("socket:")) continue;
      const std::string number = entry.path().filename();
      const std::string info = FileText(fmt::format("/proc/{}/fdinfo/{}", pid, number));
      INFO(number << "\n" << info);
      CHECK((std::stoul(info.substr(info.find("flags:") + 6), nullptr, 8) & kCloseOnExec) != 0);
      ++sockets;
    }
    CHECK(sockets >= 2);  // the listener and `kept`
  }
}

TEST_CASE("our own client goes nowhere with a token but where it was told to") {
  SECTION("hazard 26: a redirect is not followed") {
    Redirector target{""};
    Redirector asked{target.url() + "/health/caches"};
    const ProcessResult run =
        Run(GATHERING_BINARY, {.arguments = {"cache-stats", "--url", asked.url()},
                               .environment = {{"GATHERING_TOKEN", "a-token-that-must-not-travel"}}});
    CHECK(run.code != 0);
    CHECK(asked.requests == 1);
    CHECK(target.requests == 0);
  }
}

}  // namespace gathering::test
