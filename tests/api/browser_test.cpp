// Live events in a browser: Debian's Chromium without a screen, a page of the test's own, and what the page
// reports.  Skipped, and says so, where there is no Chromium.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "core/config/config.h"
#include "daemon/http/server.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr const char* kBrowsers[] = {"/usr/bin/chromium-headless-shell", "/usr/bin/chromium"};

// %DAEMON% and %TOKEN% are put in.
constexpr std::string_view kPage = R"(<!DOCTYPE html><meta charset="utf-8"><script>
const report = what => fetch("/report", {method: "POST", body: what});
const source = new EventSource("http://%DAEMON%/events/stream?token=%TOKEN%");
source.onopen = () => report("source open");
source.onerror = () => report("source lost");
source.addEventListener("circle.created", event => {
  const told = JSON.parse(event.data);
  const id = event.lastEventId == told.sequence ? "" : " without id";
  report("source " + told.type + " " + told.data.circle + id);
});
const socket = new WebSocket("ws://%DAEMON%/ws?token=%TOKEN%");
socket.onopen = () => socket.send(JSON.stringify({action: "subscribe", topics: ["circles"]}));
socket.onclose = event => report("socket closed " + event.code);
socket.onmessage = message => {
  const told = JSON.parse(message.data);
  report("socket " + told.type + (told.type == "circle.created" ? " " + told.data.circle : ""));
};
</script>)";

void Replace(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

// Gives out one page and takes what it reports.
class PageServer {
 public:
  PageServer()
      : server_(Config(), clock_,
                {.handler = [this](const http::Request& request, const http::Context&,
                                   http::Response& response) { Handle(request, response); },
                 .refusal = [](int status, std::string_view,
                               http::Response& response) { response.status = status; }}) {
    server_.Start();
  }
  [[nodiscard]] std::string origin() const { return "http://" + server_.Addresses().front(); }

  void Show(const std::string& daemon, const std::string& token) {
    std::scoped_lock lock{mutex_};
    page_ = kPage;
    Replace(page_, "%DAEMON%", daemon);
    Replace(page_, "%TOKEN%", token);
  }
  // Whether the page reports, or has reported, these words.
  bool Reports(const std::string& words, std::chrono::seconds patience = 30s) {
    std::unique_lock lock{mutex_};
    const bool heard = news_.wait_for(lock, patience, [&] { return reports_.contains(words); });
    if (!heard) UNSCOPED_INFO("instead of \"" << words << "\": " << json(reports_).dump());
    return heard;
  }
  [[nodiscard]] std::size_t Count(const std::string& words) {
    std::scoped_lock lock{mutex_};
    return reports_.count(words);
  }

 private:
  static HttpConfig Config() {
    HttpConfig config;
    config.listen = {"127.0.0.1:0"};
    config.loops = 1;
    return config;
  }
  void Handle(const http::Request& request, http::Response& response) {
    std::scoped_lock lock{mutex_};
    if (request.path == "/report") {
      reports_.emplace(request.body);
      news_.notify_all();
      response.status = 204;
    } else if (request.path == "/page") {
      response.content_type = "text/html";
      response.body = page_;
    } else {
      response.status = 404;
    }
  }

  SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::string page_;
  std::multiset<std::string> reports_;
  http::Server server_;
};

// Ended, with all its processes, when this goes.
class Browser {
 public:
  Browser(const char* program, const std::string& page) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::setpgid(0, 0);
    const int nowhere = ::open("/dev/null", O_RDWR);
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, descriptor);
    const std::string profile = "--user-data-dir=" + profile_.path();
    ::execl(program, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--remote-debugging-port=0", profile.c_str(),
            page.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ~Browser() {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

 private:
  TemporaryDirectory profile_;
  pid_t pid_ = -1;
};

const char* FindBrowser() {
  for (const char* program : kBrowsers) {
    if (::access(program, X_OK) == 0) return program;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("a browser hears live events, and comes back for those it missed") {
  const char* const program = FindBrowser();
  if (program == nullptr) {
    WARN("skipped: no Chromium here; install chromium-headless-shell");
    return;
  }
  PageServer page;
  const FreshDatabase database;
  DaemonOptions options{.database_url = database.url(),
                        .environment = {{"GATHERING_HTTP_CORS_ORIGINS", page.origin()}}};
  auto daemon = std::make_unique<RunningDaemon>(options);
  const RunningDaemon other{{.database_url = database.url()}};
  HttpClient there = other.Admin();
  const std::string address = daemon->address();
  page.Show(address, daemon->AdminToken());
  const Browser browser{program, page.origin() + "/page"};
  REQUIRE(page.Reports("source open"));
  REQUIRE(page.Reports("socket subscribed"));

  REQUIRE(daemon->Admin().Post("/circles", json{{"name", "ours"}}).status == 201);
  REQUIRE(there.Post("/circles", json{{"name", "theirs"}}).status == 201);
  for (const char* circle : {"ours", "theirs"}) {
    CHECK(page.Reports(std::string{"source circle.created "} + circle));
    CHECK(page.Reports(std::string{"socket circle.created "} + circle));
  }

  daemon.reset();
  CHECK(page.Reports("socket closed 1001"));
  CHECK(page.Reports("source lost"));
  REQUIRE(there.Post("/circles", json{{"name", "meanwhile"}}).status == 201);
  options.arguments = {"--listen", address};
  daemon = std::make_unique<RunningDaemon>(options);
  CHECK(page.Reports("source circle.created meanwhile"));
  for (const char* circle : {"ours", "theirs", "meanwhile"})
    CHECK(page.Count(std::string{"source circle.created "} + circle) == 1);
}

}  // namespace gathering::test
