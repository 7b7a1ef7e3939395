#pragma once
// A client of an answer without end: it reads the head, then whatever comes.
#include <chrono>
#include <string>
#include <string_view>

#include "tests/support/http.h"
#include "tests/support/raw_client.h"

namespace gathering::test {

class StreamClient {
 public:
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& head() const { return head_; }
  [[nodiscard]] bool ended() const { return ended_; }  // by the server
  [[nodiscard]] RawClient& raw() { return raw_; }

 protected:
  // Asks for `target`; `behind` is sent in the same breath.  Throws when there is no answer.
  StreamClient(const std::string& address, std::string_view target, const Headers& headers,
               std::string_view behind = {});

  // Adds to the buffer; false when the server closed or nothing came in time.
  bool Fill(std::chrono::milliseconds patience);

  std::string buffer_;  // what came and was not taken yet

 private:
  RawClient raw_;
  std::string head_;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace gathering::test
