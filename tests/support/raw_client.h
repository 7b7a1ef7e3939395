#pragma once
// An HTTP client that sends exactly the bytes it is told to, so that a test can send what no
// decent client would.  Blocking, with a deadline on everything.
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/tls_session.h"

namespace gathering::test {

struct RawResponse {
  int status = 0;
  std::string reason;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // Names compared without case; empty when absent.
  [[nodiscard]] std::string Header(std::string_view name) const;
  [[nodiscard]] bool Has(std::string_view name) const;
  [[nodiscard]] std::size_t HeaderCount(std::string_view name) const;
};

// Whether the answer to come has a body; a response alone does not say.
enum class Ask { kAny, kHead };

class RawClient {
 public:
  // As Server::Addresses gives it.  Throws std::runtime_error when nobody listens, or for "tls:" speaks
  // no TLS there.
  explicit RawClient(const std::string& text, std::chrono::milliseconds patience = std::chrono::seconds{10});
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  // False when the server has closed the connection.
  bool Send(std::string_view bytes);
  void FinishSending();              // half-closes
  void SetReceiveBuffer(int bytes);  // of the kernel, for readers who are slow

  // The next answer; none when the server closed the connection or sent something that is not
  // HTTP.  100 Continue counts as an answer.
  std::optional<RawResponse> Receive(Ask ask = Ask::kAny);

  // Send and Receive.
  std::optional<RawResponse> Exchange(std::string_view bytes, Ask ask = Ask::kAny);

  // False when the server closes or `patience` is over before `text` is among the bytes not yet taken.
  bool ReceiveUntil(std::string_view text);

  // Everything until the server closes or `patience` is over.
  std::string ReceiveAll();

  // True when the server closes within `patience` and sends nothing before.
  bool IsClosed();

  // Bytes received and not yet taken by Receive.
  [[nodiscard]] const std::string& Rest() const { return buffer_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] TlsSession* tls() const { return tls_.get(); }  // of a "tls:" address

 private:
  bool Fill();

  int descriptor_ = -1;
  std::unique_ptr<TlsSession> tls_;
  std::chrono::milliseconds patience_;
  std::string buffer_;
  bool timed_out_ = false;
};

// All complete answers in `bytes`; the rest that is none is dropped.
std::vector<RawResponse> SplitResponses(std::string bytes);

}  // namespace gathering::test
