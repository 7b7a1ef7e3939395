#pragma once
// Rate limits as HTTP shows them.
//
// Whoever is known by a token is limited as a user, everybody else by their address (an IPv6 client by its
// /64); logins and registrations are limited by account name as well.  Whoever comes by the control socket is
// not limited.  Every answer of a limited route says
// where its client stands: X-RateLimit-Limit, -Remaining and -Reset (seconds since 1970), as slowapi does,
// and RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers-10.  A refusal is 429 with
// Retry-After.
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/auth/authority.h"
#include "daemon/http/message.h"
#include "daemon/http/route.h"
#include "daemon/limits/limiter.h"

namespace gathering::http {

// Answered with 429.  What the fields say is in the Standing.
class RateLimited : public std::exception {
 public:
  explicit RateLimited(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

class RateLimits {
 public:
  // Everything is borrowed.
  RateLimits(Limiter& limiter, const auth::Authority& authority, const Clock& clock)
      : limiter_(limiter), authority_(authority), clock_(clock) {}

  // Decides whether a request may go on, before anything else is done for it; may suspend the fiber.  Notes
  // in `standing` who asks and what the answer is to say.  Throws RateLimited, and Error kRejected when a
  // trusted proxy's field cannot be read.
  void Admit(const Request& request, const Route& route, Standing& standing);

  // The same for the account that a request is about, before its password is looked at.
  void AdmitAccount(const Route& route, std::string_view account, Standing& standing);

  // Counts a try at an account's password.  Throws RateLimited while the account backs off.
  void TryPassword(std::string_view account, Standing& standing);
  void PasswordWasRight(std::string_view account);
  void PasswordWasNotChecked(std::string_view account);

 private:
  struct RouteState;
  struct Snapshot;

  [[nodiscard]] Snapshot& Current();
  [[nodiscard]] std::shared_ptr<const RouteState> StateOf(const Route& route);
  void Decide(const RouteState& state, std::string_view subject, Standing& standing);
  void WriteFields(const RouteState& state, const limits::Decision& decision, Standing& standing) const;

  Limiter& limiter_;
  const auth::Authority& authority_;
  const Clock& clock_;
};

}  // namespace gathering::http
