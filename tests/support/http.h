#pragma once
// A blocking HTTP/1.1 client for tests: one keep-alive connection, made anew when the server has closed it,
// JSON in and out.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace gathering::test {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Answer {
  int status = 0;
  Headers headers;
  std::string body;

  [[nodiscard]] std::optional<std::string> Header(std::string_view name) const;
  [[nodiscard]] std::size_t Count(std::string_view name) const;
  [[nodiscard]] nlohmann::json Json() const;  // discarded (is_discarded()) when the body is not JSON
};

// Throws std::runtime_error when the connection fails or nothing arrives for 20 s.
class HttpClient {
 public:
  explicit HttpClient(std::string address);  // "127.0.0.1:8000" or "unix:/path"
  ~HttpClient();
  HttpClient(HttpClient&& other) noexcept;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Answer Send(std::string_view method, std::string_view target, const Headers& headers = {},
              std::string_view body = {});
  Answer Get(std::string_view target) { return Send("GET", target, auth_); }
  Answer Post(std::string_view target) { return Send("POST", target, auth_); }
  Answer Delete(std::string_view target) { return Send("DELETE", target, auth_); }
  Answer Post(std::string_view target, const nlohmann::json& body) { return SendJson("POST", target, body); }
  Answer Put(std::string_view target, const nlohmann::json& body) { return SendJson("PUT", target, body); }
  Answer Patch(std::string_view target, const nlohmann::json& body) {
    return SendJson("PATCH", target, body);
  }
  Answer PostForm(std::string_view target, const Headers& fields);

  // Every later Get, Post, … carries this bearer token; empty for none.
  void Use(const std::string& token);

 private:
  Answer SendJson(std::string_view method, std::string_view target, const nlohmann::json& body);
  void Connect();
  [[nodiscard]] bool IsClosed() const;
  void Close();

  std::string address_;
  int fd_ = -1;
  std::string buffer_;
  Headers auth_;
};

[[nodiscard]] std::string UrlEncode(std::string_view text);

}  // namespace gathering::test
