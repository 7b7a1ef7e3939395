#pragma once
// Whether the certificate and key of http.tls can be shown to clients, and for how long.  Looks only.
#include <sys/types.h>
#include <cstdint>
#include <string>

#include "core/base/clock.h"
#include "core/base/timestamp.h"
#include "core/doctor/examination.h"
#include "core/tls/identity.h"

namespace gathering::doctor {

[[nodiscard]] Finding JudgeCertificate(const tls::Certificate& certificate, Timestamp now);
[[nodiscard]] Finding JudgeKeyFile(const std::string& path, mode_t mode);

[[nodiscard]] Subject CertificateSubject(tls::Files files, const Clock& clock);

}  // namespace gathering::doctor
