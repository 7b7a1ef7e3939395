#include "daemon/http/engine.h"

#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <exception>

#include "core/base/error.h"
#include "core/base/log.h"

namespace gathering::http {
namespace {

constexpr std::string_view kServerName = "gathering";
constexpr int kSwitching = 101;
constexpr std::string_view kSwitchingHead =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";

constexpr std::string_view Feed(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET / HTTP/1.1\r\n\r\n";
    case Method::kHead:
      return "HEAD / HTTP/1.1\r\n\r\n";
    case Method::kPost:
      return "POST / HTTP/1.1\r\n\r\n";
    case Method::kPut:
      return "PUT / HTTP/1.1\r\n\r\n";
    case Method::kPatch:
      return "PATCH / HTTP/1.1\r\n\r\n";
    case Method::kDelete:
      return "DELETE / HTTP/1.1\r\n\r\n";
    case Method::kOptions:
      return "OPTIONS / HTTP/1.1\r\n\r\n";
  }
  return {};
}

// What the library reads from and writes to.  Behind the fields it writes, ours are spliced in.
class MemoryStream final : public httplib::Stream {
 public:
  MemoryStream(std::string_view input, std::string& output) : input_(input), output_(output) {}

  bool is_readable() const override { return !input_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, std::size_t size) override {
    const std::size_t count = std::min(size, input_.size());
    std::memcpy(to, input_.data(), count);
    input_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, std::size_t size) override {
    output_.append(from, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int& port) const override { port = 0; }
  void get_local_ip_and_port(std::string&, int& port) const override { port = 0; }
  socket_t socket() const override { return 0; }

 private:
  std::string_view input_;
  std::string& output_;
};

bool IsFieldName(std::string_view name) {
  const auto token = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), token);
}

// Fields the server answers for; a handler that sets one would frame the answer a second time.
bool IsOurs(std::string_view name) {
  for (const std::string_view ours :
       {"content-length", "transfer-encoding", "connection", "content-type", "date"}) {
    if (SameName(name, ours)) return true;
  }
  return false;
}

bool IsFieldValue(std::string_view value) {
  return std::none_of(value.begin(), value.end(),
                      [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7F; });
}

bool CanBeSent(const Response& response) {
  const int least = response.stream != nullptr ? 101 : 200;
  if (response.status < least || response.status > 599 || !IsFieldValue(response.content_type)) return false;
  return std::all_of(response.headers.begin(), response.headers.end(), [](const auto& header) {
    return IsFieldName(header.first) && !IsOurs(header.first) && IsFieldValue(header.second);
  });
}

bool MayHaveBody(int status) {
  return status != 204 && status != 304;
}

}  // namespace

class Engine::Server final : public httplib::Server {
 public:
  Server(const http::Handler& handler, const Refusal& refusal, std::function<std::string_view()> date)
      : handler_(handler), refusal_(refusal), date_(std::move(date)) {
    svr_sock_ = 0;  // the library asks whether it is running; this is how it tells
    set_pre_routing_handler([this](const httplib::Request&, httplib::Response& out) {
      Exchange& exchange = *current_;
      Handle(exchange);
      current_ = &exchange;  // others may have run meanwhile; from here to the end nothing waits
      Fill(exchange, out);
      return HandlerResponse::Handled;
    });
    set_post_routing_handler(
        [this](const httplib::Request&, httplib::Response& out) { Adjust(*current_, out); });
    // Handle lets nothing out, so this is only for what the library itself throws.
    set_exception_handler(
        [](const httplib::Request&, httplib::Response& out, std::exception_ptr) { out.status = 500; });
  }

  void Answer(Exchange& exchange) {
    const std::size_t start = exchange.head->size();
    const Method method = exchange.request != nullptr ? exchange.request->method : Method::kGet;
    MemoryStream stream{Feed(method), *exchange.head};
    bool closed = false;
    current_ = &exchange;
    Process(*this, stream, closed);
    if (!exchange.head->ends_with("\r\n\r\n")) throw Error{Code::kInternal, "an answer was not written"};
    Splice(exchange, start);
  }

 private:
  // Told to close: saves composing a Keep-Alive field; Adjust says what really happens.  Since cpp-httplib
  // 0.17 it wants both addresses, which only its own handlers would read.
  template <class Library>
  static void Process(Library& library, httplib::Stream& stream, bool& closed) {
    if constexpr (requires { library.process_request(stream, true, closed, nullptr); }) {
      library.process_request(stream, true, closed, nullptr);
    } else {
      library.process_request(stream, {}, 0, {}, 0, true, closed, nullptr);
    }
  }

  void Handle(Exchange& exchange) {
    if (exchange.request != nullptr) {
      const Standing* const standing = exchange.context->standing;
      const log::Scope scope{standing != nullptr ? &standing->names : nullptr};
      try {
        handler_(*exchange.request, *exchange.context, *exchange.response);
        exchange.failed = !CanBeSent(*exchange.response);
        if (exchange.failed) log::Error("an answer cannot be sent", {{"path", exchange.request->path}});
      } catch (const std::exception& e) {
        exchange.failed = true;
        log::Error("a handler threw", {{"path", exchange.request->path}, {"what", e.what()}});
      } catch (...) {
        exchange.failed = true;
        log::Error("a handler threw", {{"path", exchange.request->path}, {"what", "something unknown"}});
      }
      if (exchange.failed) {
        *exchange.response = Response{};
        exchange.response->status = 500;
        refusal_(500, "Internal Server Error", *exchange.response);
      }
    }
    Response& response = *exchange.response;
    if (response.close || response.stream != nullptr ||
        (exchange.closing != nullptr && exchange.closing->load(std::memory_order_relaxed))) {
      exchange.keep_alive = false;
    }
    if (!MayHaveBody(response.status)) response.DropContent();
  }

  static void Fill(const Exchange& exchange, httplib::Response& out) {
    const Response& response = *exchange.response;
    out.status = response.status;
    if (!MayHaveBody(response.status) || response.stream != nullptr) return;
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, response.content().size()).ptr;
    out.headers.emplace("Content-Length", std::string{digits, end});
  }

  static void Adjust(const Exchange& exchange, httplib::Response& out) {
    if (exchange.keep_alive) out.headers.erase("Connection");
    if (!MayHaveBody(out.status) || exchange.response->stream != nullptr) out.headers.erase("Content-Length");
    out.headers.erase("Accept-Ranges");
  }

  // The library knows fewer reasons than we do, and none of our fields.
  void Splice(const Exchange& exchange, std::size_t start) {
    std::string& head = *exchange.head;
    const Response& response = *exchange.response;
    if (response.status == kSwitching) {
      head.replace(start, std::string::npos, kSwitchingHead);  // the library would close
    } else {
      head.resize(head.size() - 2);  // the empty line; it comes back last
    }
    const auto field = [&](std::string_view name, std::string_view value) {
      head.append(name).append(": ").append(value).append("\r\n");
    };
    if (exchange.keep_alive && exchange.say_keep_alive) field("Connection", "keep-alive");
    if (!response.content_type.empty() && MayHaveBody(response.status))
      field("Content-Type", response.content_type);
    field("Date", date_());
    field("Server", kServerName);
    head.append(response.constant_headers);
    head.append(response.varying_headers);
    for (const auto& [name, value] : response.headers) field(name, value);
    head.append("\r\n");
    if (response.status == kSwitching) return;

    constexpr std::size_t kReasonAt = std::string_view{"HTTP/1.1 200 "}.size();
    const std::size_t reason = start + kReasonAt;
    const std::string_view better = Reason(response.status);
    if (std::string_view{head}.substr(reason, better.size()) != better ||
        head[reason + better.size()] != '\r') {
      head.replace(reason, head.find('\r', reason) - reason, better);
    }
  }

  const http::Handler& handler_;
  const Refusal& refusal_;
  const std::function<std::string_view()> date_;
  Exchange* current_ = nullptr;
};

Engine::Engine(const Handler& handler, const Refusal& refusal, std::function<std::string_view()> date)
    : server_(std::make_unique<Server>(handler, refusal, std::move(date))) {}

Engine::~Engine() = default;

void Engine::Answer(Exchange& exchange) {
  server_->Answer(exchange);
  if (exchange.bodyless) exchange.response->DropContent();
}

}  // namespace gathering::http

#if defined(__SANITIZE_THREAD__)
// The library is compiled without the sanitizer.  What that reports there fits a static table that is made
// once under a guard it cannot see; this is inferred from the addresses, not proven.  The suppression also
// hides what the library's own calls of memcpy and the like do to our memory.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libcpp-httplib.so\n";
}
#endif
