// The HTTP front with a handler that only reports it is alive.
//
//   front_responder PORT LOOPS
#include <charconv>
#include <csignal>
#include <cstring>
#include <string>

#include "core/base/clock.h"
#include "daemon/http/server.h"
#include "tests/bench/liveness_answer.h"

namespace {

std::uint32_t Number(const char* text) {
  std::uint32_t value = 0;
  std::from_chars(text, text + std::strlen(text), value);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace gathering;
  if (argc != 3) return 2;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const SystemClock clock;
  HttpConfig config;
  config.listen = {std::string{"127.0.0.1:"} + argv[1]};
  config.loops = Number(argv[2]);
  config.limits.connections_per_address_max = config.limits.connections_max;
  config.limits.requests_per_connection_max = 1'000'000'000;
  http::Server server{
      config, clock,
      [](const http::Request&, const http::Context&, http::Response& response) {
        response.content_type = "application/json";
        response.body = bench::kBody;
        response.constant_headers = bench::kConstantHeaders;
        response.Set("X-Request-ID", "0123456789abcdef0123456789abcdef");
      },
      [](int status, std::string_view, http::Response& response) { response.status = status; }};
  server.Start();
  int signal = 0;
  sigwait(&signals, &signal);
  return 0;
}
