#include "daemon/http/status.h"

namespace gathering::http {

int StatusOf(Code code) {
  switch (code) {
    case Code::kInvalid:
      return 422;
    case Code::kRejected:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kForbidden:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kConflict:
      return 409;
    case Code::kTimeout:
      return 503;
    case Code::kUnavailable:
      return 503;
    case Code::kInDoubt:
      return 503;
    case Code::kInternal:
      return 500;
  }
  return 500;
}

}  // namespace gathering::http
