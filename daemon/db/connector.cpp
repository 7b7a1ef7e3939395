#include "daemon/db/connector.h"

#include <algorithm>
#include <chrono>

namespace gathering {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPauseMin{100};
constexpr milliseconds kPauseMax{2'000};
constexpr std::uint32_t kRequestsMax = 4'096;  // one for each pipeline at most

}  // namespace

Connector::Connector(db::ConnectionOptions options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      thread_({.name = "db-connect", .threads = 1, .queue_max = kRequestsMax}) {}

void Connector::Connect(db::Traffic traffic, std::function<void(Outcome)> done) {
  if (!thread_.TryPost([this, traffic, done] { done(Try(traffic)); }))
    done(Unavailable("the database is away", db::kRetryAfter, "no more connections are being made"));
}

std::optional<Error> Connector::Away() const {
  const Clock::Steady now = clock_.Now();
  return failures_.With(
      [&](const Failures& failures) { return now < failures.pause_until ? failures.last : std::nullopt; });
}

Connector::Outcome Connector::Try(db::Traffic traffic) {
  if (auto away = Away()) return *std::move(away);
  try {
    auto link = std::make_unique<db::PipelineLink>(options_, traffic);
    failures_.With([](Failures& failures) { failures = {}; });
    return link;
  } catch (const Error& error) {
    NoteFailure(error);
    return error;
  }
}

void Connector::NoteFailure(const Error& error) {
  const double share = std::uniform_real_distribution<double>{0.5, 1}(random_);
  failures_.With([&](Failures& failures) {
    const std::uint32_t doublings = std::min<std::uint32_t>(failures.in_a_row++, 16);
    const milliseconds pause = std::min(kPauseMax, kPauseMin * (1 << doublings));
    const std::chrono::duration<double, std::milli> varied = pause * share;
    failures.pause_until = clock_.Now() + std::chrono::duration_cast<Clock::Steady::duration>(varied);
    failures.last = error;
  });
}

}  // namespace gathering
