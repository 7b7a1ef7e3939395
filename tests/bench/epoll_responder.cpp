// The least an HTTP server can do: N event loops that answer every readable event with the same
// bytes, without looking at the request.  What the front is measured against.
//
//   epoll_responder PORT LOOPS
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/bench/liveness_answer.h"

namespace {

int Number(const char* text) {
  int value = 0;
  std::from_chars(text, text + std::strlen(text), value);
  return value;
}

std::string Answer() {
  std::string answer =
      "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(gathering::bench::kBody.size()) +
      "\r\nContent-Type: application/json\r\nDate: Mon, 23 Nov 2026 09:35:55 GMT\r\n"
      "Server: gathering\r\n";
  answer.append(gathering::bench::kConstantHeaders).append(gathering::bench::kRequestIdHeader);
  return answer.append("\r\n").append(gathering::bench::kBody);
}

void Serve(int epoll) {
  const std::string answer = Answer();
  char bytes[65'536];
  epoll_event events[256];
  for (;;) {
    const int count = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      const int client = events[i].data.fd;
      if (::recv(client, bytes, sizeof bytes, 0) <= 0 ||
          ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL) <= 0) {
        ::close(client);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(Number(argv[1])));
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 4'096) != 0) {
    std::perror("epoll_responder");
    return 1;
  }
  std::vector<int> epolls;
  std::vector<std::jthread> loops;
  for (int i = 0; i < Number(argv[2]); ++i) {
    const int epoll = epolls.emplace_back(::epoll_create1(EPOLL_CLOEXEC));
    loops.emplace_back([epoll, i] {
      cpu_set_t cpus;
      CPU_ZERO(&cpus);
      CPU_SET(static_cast<std::size_t>(i), &cpus);
      pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
      Serve(epoll);
    });
  }
  for (std::size_t next = 0;; ++next) {
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) continue;
    ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = client;
    ::epoll_ctl(epolls[next % epolls.size()], EPOLL_CTL_ADD, client, &event);
  }
}
