#pragma once
// A client of Server-Sent Events, as a browser's: it says where it was when it comes back.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tests/support/stream_client.h"

namespace gathering::test {

struct ServerEvent {
  std::string id;
  std::string type;
  nlohmann::json data;
};

class EventSource : public StreamClient {
 public:
  // Asks for the stream and takes the head of the answer.  Throws when there is none.
  EventSource(const std::string& address, std::string_view target, const Headers& headers = {});

  // The next event; none when the stream ended or nothing came in time.
  std::optional<ServerEvent> Next(std::chrono::milliseconds patience = std::chrono::seconds{20});

  // Whether the server ended the stream, events that come before being passed over.
  bool Ends();

  [[nodiscard]] std::size_t comments() const { return comments_; }  // signs of life so far

 private:
  std::size_t comments_ = 0;
};

}  // namespace gathering::test
