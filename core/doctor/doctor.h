#pragma once
// Everything a daemon of a configuration needs, as subjects to examine.  Nothing is started, made or changed,
// and a daemon that runs beside does not notice.
#include <chrono>
#include <cstdint>
#include <vector>

#include "core/base/clock.h"
#include "core/config/load.h"
#include "core/db/embedded.h"
#include "core/doctor/examination.h"
#include "core/doctor/ports.h"

namespace gathering::doctor {

struct Patient {
  const LoadAttempt& attempt;  // outlives the subjects
  db::EmbeddedOptions embedded;
  std::uint32_t loops = 1;                    // of the daemon
  std::chrono::milliseconds deadline{5'000};  // of a subject
  AskDaemon ask;
};

// What hangs on settings that cannot be used is told as skipped.
[[nodiscard]] std::vector<Subject> Subjects(const Patient& patient, const Clock& clock);

// The gravest verdict; kOk when there is nothing.
[[nodiscard]] Verdict Gravest(const std::vector<Finding>& findings);

}  // namespace gathering::doctor
