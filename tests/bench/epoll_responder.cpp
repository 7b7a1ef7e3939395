// The least an HTTP server can do: N event loops that answer every readable event with the same
// bytes, without looking at the request.  What the daemon's front is measured against.
//
//   epoll_responder PORT LOOPS --answer FILE
//
// PORT 0 takes any free one; the address is printed.  FILE holds one whole answer, head and body: recorded
// from the daemon, so that both send as many bytes.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

int Number(const char* text) {
  int value = 0;
  std::from_chars(text, text + std::strlen(text), value);
  return value;
}

std::string ReadFile(const char* path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void Serve(int epoll, const std::string& answer) {
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

// As the daemon does it: a loop stays on its core.
void StayOn(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<std::size_t>(cpu), &cpus);
  pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}

int Listen(int port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(listener, 4'096) == 0) {
    socklen_t size = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    std::printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return listener;
  }
  std::perror("epoll_responder");
  return -1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 || std::string_view{argv[3]} != "--answer") {
    std::fprintf(stderr, "usage: epoll_responder PORT LOOPS --answer FILE\n");
    return 2;
  }
  const std::string answer = ReadFile(argv[4]);
  if (!answer.starts_with("HTTP/1.1 ")) {
    std::fprintf(stderr, "epoll_responder: no answer in %s\n", argv[4]);
    return 2;
  }
  const int listener = Listen(Number(argv[1]));
  if (listener < 0) return 1;
  std::vector<int> epolls;
  std::vector<std::jthread> loops;
  for (int i = 0; i < Number(argv[2]); ++i) {
    const int epoll = epolls.emplace_back(::epoll_create1(EPOLL_CLOEXEC));
    loops.emplace_back([epoll, i, &answer] {
      StayOn(i);
      Serve(epoll, answer);
    });
  }
  const int on = 1;
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
