#pragma once
// Errors as clients see them, and as the log does.
#include <exception>
#include <string_view>

#include "daemon/http/message.h"

namespace gathering::http {

// Fills in an error answer with one sentence.
void WriteProblem(int status, std::string_view detail, std::string_view request_id, Response& response);

// What a request was doing when it failed.
struct Failure {
  std::string_view route_id;
  std::string_view request_id;  // for the client; log lines have it anyway
};

// Replaces `response` by the answer to an exception.  What a client may not know goes to the log.
// To be called in a catch block; an exception that is no std::exception is thrown on.
void AnswerException(const Failure& failure, Response& response);

}  // namespace gathering::http
