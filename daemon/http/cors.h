#pragma once
// Cross-origin requests (Fetch standard, section 3.2): which pages of other origins a
// browser lets read our answers.
//
// Origins are compared as whole texts; there is no wildcard, because answers depend on
// credentials.  Safe from any thread.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/http/message.h"

namespace gathering::http {

class Cors {
 public:
  explicit Cors(std::span<const std::string> origins) : origins_(origins.begin(), origins.end()) {}

  [[nodiscard]] bool Allows(std::string_view origin) const;
  [[nodiscard]] std::span<const std::string> origins() const { return origins_; }

  // The header lines of every answer to a page of `origin`, which is allowed; "Name: value\r\n" each.
  [[nodiscard]] static std::string Lines(std::string_view origin);
  // Those of every other answer: it might have been different for an origin.
  [[nodiscard]] static std::string LinesForOthers();

  [[nodiscard]] static bool IsPreflight(const Request& request);

  // Fills in the answer to a preflight: 200, or 400 naming what is not allowed.
  void AnswerPreflight(const Request& request, Response& response) const;

 private:
  std::vector<std::string> origins_;
};

}  // namespace gathering::http
