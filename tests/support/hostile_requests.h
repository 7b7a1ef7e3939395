#pragma once
// What clients send that they should not, and what may be answered.  In the spirit of the public
// probes for HTTP/1.1 servers: one row a question, in our own words.
#include <string>
#include <vector>

namespace gathering::test {

struct HostileRequest {
  const char* what;
  std::string bytes;
  std::vector<int> allowed;  // exactly one answer, with one of these statuses
};

// All rows.  Every one is complete: a server that waits for more after it has misread it.
const std::vector<HostileRequest>& HostileRequests();

}  // namespace gathering::test
