#pragma once
// From what went wrong to an HTTP status: the only place that knows both.
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace gathering::http {

// A request that HTTP itself refuses (415, 413, …), for which core/base/error.h has no word.
class HttpError : public std::exception {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  HttpError(int status_in, std::string detail_in, Headers headers_in = {})
      : status(status_in), detail(std::move(detail_in)), headers(std::move(headers_in)) {}
  const char* what() const noexcept override { return detail.c_str(); }

  int status;
  std::string detail;  // for the client
  Headers headers;     // of the answer
};

// kTimeout and kInDoubt are 503 like kUnavailable, not 504: we are no gateway.  What tells them apart
// for a client is Retry-After, which a write in doubt does not have.
[[nodiscard]] int StatusOf(Code code);

}  // namespace gathering::http
