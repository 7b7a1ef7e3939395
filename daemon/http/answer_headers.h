#pragma once
// The header lines that every answer carries, joined once.
//
// Answers of the API are for programs: nothing may be loaded, framed or kept; one with an ETag may be kept by
// whom it was given to, who asks each time whether it still holds.  A page
// (a handler that sets its own Content-Security-Policy) says itself what it may load
// and how long it may be kept; the other lines are the same.
#include <map>
#include <string>
#include <string_view>

#include "daemon/http/cors.h"

namespace gathering::http {

class AnswerHeaders {
 public:
  explicit AnswerHeaders(const Cors& cors);

  // Lines for an answer to `origin`, empty without one.  They live as long as this.
  [[nodiscard]] std::string_view ForApi(std::string_view origin) const { return Find(origin).api; }
  [[nodiscard]] std::string_view ForTagged(std::string_view origin) const { return Find(origin).tagged; }
  [[nodiscard]] std::string_view ForPage(std::string_view origin) const { return Find(origin).page; }

 private:
  struct Blocks {
    std::string api;
    std::string tagged;
    std::string page;
  };
  [[nodiscard]] const Blocks& Find(std::string_view origin) const;

  std::map<std::string, Blocks, std::less<>> by_origin_;
  Blocks others_;
};

}  // namespace gathering::http
