#include "cmd/daemon_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/control_socket.h"
#include "core/config/listen.h"
#include "core/schema/reader.h"

namespace gathering::cmd {
namespace {

constexpr std::size_t kAnswerBytesMax = 16 * 1'024 * 1'024;
constexpr std::size_t kTokenBytesMax = 8'192;
constexpr int kAnyPort = 80;  // a socket file has none
constexpr std::string_view kTokenVariable = "GATHERING_TOKEN";

// What an error's body says.
struct Problem {
  std::string detail;

  static void Fields(auto& self, auto& visit) { visit("detail", self.detail); }
};

std::string DetailOf(int status, const std::string& body) {
  try {
    std::vector<FieldError> errors;
    Problem problem = schema::ReadJson<Problem>(schema::ParseJson(body, {}), "answer", errors);
    if (errors.empty() && !problem.detail.empty()) return std::move(problem.detail);
  } catch (const Error&) {
    // not JSON: somebody else's answer
  }
  return fmt::format("status {}", status);
}

// Without a slash at its end.
std::string ChosenUrl(const std::string& typed) {
  if (typed.empty()) return {};
  std::string url = typed.ends_with('/') ? typed.substr(0, typed.size() - 1) : typed;
  std::string_view host;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.starts_with(scheme)) host = std::string_view{url}.substr(scheme.size());
  }
  if (host.empty() || host.find_first_of("/?#@ ") != std::string_view::npos)
    throw UsageError{fmt::format("--url: '{}' is no address of a daemon; give http://HOST:PORT", typed)};
  return url;
}

std::string TokenText(std::string_view text, const std::string& origin) {
  const std::string_view token = Trimmed(text);
  const bool printable = std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
  if (token.empty() || token.size() > kTokenBytesMax || !printable)
    throw UsageError{fmt::format("{} holds no token; put what /auth/login answered there", origin)};
  return std::string{token};
}

std::string TokenInFile(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::string text(kTokenBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (text.empty()) throw UsageError{fmt::format("cannot read {}; give a file that holds a token", path)};
  return TokenText(text, path);
}

std::string ChosenToken(const Environment& environment, const DaemonOptions& options) {
  if (!options.token_file.empty()) return TokenInFile(options.token_file);
  const auto variable = environment.find(kTokenVariable);
  if (variable == environment.end() || variable->second.empty()) return {};
  return TokenText(variable->second, std::string{kTokenVariable});
}

std::string ChosenSocket(const Context& context) {
  std::string path = ControlSocketOf(context.Load().config).path;
  if (path.empty())
    throw UsageError{"http.control_socket is none, so the daemon has no control socket; give --url"};
  return path;
}

}  // namespace

void AddDaemonFlags(Syntax syntax, Context& context, DaemonOptions& options) {
  AddConfigFlags(syntax, context, ConfigFlags::kDataDir);
  syntax.Text("--url", options.url, "URL",
              "Ask the daemon at this address, as http://host:8000; default its control socket");
  syntax.Text("--token-file", options.token_file, "FILE",
              "With --url: an administrator's token is in this file; default in GATHERING_TOKEN");
}

DaemonClient::DaemonClient(const Context& context, const DaemonOptions& options)
    : url_(ChosenUrl(options.url)) {
  if (!url_.empty()) {
    token_ = ChosenToken(context.environment, options);
    return;
  }
  if (!options.token_file.empty())
    throw UsageError{"--token-file is for --url; the control socket needs no token"};
  socket_ = ChosenSocket(context);
}

DaemonClient DaemonClient::At(const std::string& text, std::chrono::milliseconds patience) {
  DaemonClient client;
  const config::ListenAddress where = config::ParseListen(text);
  const std::string address{where.place};
  if (address.starts_with(config::kUnixPrefix)) {
    client.socket_ = address.substr(config::kUnixPrefix.size());
  } else {
    const std::size_t colon = address.rfind(':');
    std::string host = address.substr(0, colon);
    if (host == "0.0.0.0") host = "127.0.0.1";  // every address is this one, too
    if (host == "[::]") host = "[::1]";
    client.url_ = fmt::format("{}://{}{}", where.secure ? "https" : "http", host, address.substr(colon));
    client.any_certificate_ = where.secure;  // it is for the name clients use, which is not this address
  }
  client.connect_timeout_ = client.answer_timeout_ = patience;
  return client;
}

std::string DaemonClient::Get(const std::string& target) const {
  httplib::Client client =
      url_.empty() ? httplib::Client{socket_, kAnyPort} : httplib::Client{std::string{url_}};
  httplib::Headers headers{{"Accept", "application/json"}};
  if (url_.empty()) {
    client.set_address_family(AF_UNIX);
    headers.emplace("Host", "localhost");
  }
  if (!token_.empty()) headers.emplace("Authorization", "Bearer " + token_);
  if (any_certificate_) client.enable_server_certificate_verification(false);
  client.set_connection_timeout(connect_timeout_);
  client.set_read_timeout(answer_timeout_);
  client.set_write_timeout(answer_timeout_);
  std::string body;
  const httplib::Result result = client.Get(target, headers, [&body](const char* data, std::size_t size) {
    if (body.size() + size > kAnswerBytesMax) return false;
    body.append(data, size);
    return true;
  });
  if (!result) {
    if (result.error() != httplib::Error::Canceled) throw NoAnswer();
    throw Error{Code::kInternal, fmt::format("the answer of {} is over {} bytes", place(), kAnswerBytesMax)};
  }
  if (result->status != 200) throw Refusal(result->status, target, body);
  return body;
}

Error DaemonClient::NoAnswer() const {
  std::string what;
  if (!url_.empty()) {
    what = fmt::format("no daemon answers at {}; see that it runs, and that the address is right", url_);
  } else if (::access(socket_.c_str(), R_OK | W_OK) != 0 && errno == EACCES) {
    what = fmt::format(
        "{} is not yours to open; be who runs the daemon, or give --url and an administrator's token",
        socket_);
  } else {
    what = fmt::format("no daemon answers at {}; start it with gathering serve, or give --url", socket_);
  }
  return Error{Code::kUnavailable, std::move(what)};
}

Error DaemonClient::Refusal(int status, const std::string& target, const std::string& body) const {
  const std::string detail = DetailOf(status, body);
  if (status == 401 && token_.empty()) {
    return Error{
        Code::kForbidden,
        fmt::format("the daemon at {} wants to know who asks; put an administrator's token into {}, or "
                    "give --token-file",
                    place(), kTokenVariable)};
  }
  if (status == 401 || status == 403) {
    return Error{Code::kForbidden,
                 fmt::format("the token is not an administrator's, says the daemon at {}: {}; log in as one",
                             place(), detail)};
  }
  if (status == 404) {
    return Error{Code::kNotFound,
                 fmt::format("the daemon at {} does not know {}; it may be an older one", place(), target)};
  }
  const bool later = status == 429 || status >= 500;
  return Error{later ? Code::kUnavailable : Code::kInternal,
               fmt::format("the daemon at {} does not tell: {}", place(), detail)};
}

}  // namespace gathering::cmd
