#include "core/doctor/certificate.h"

#include <sys/stat.h>

#include <utility>

#include <fmt/format.h>

#include "core/doctor/files.h"

namespace gathering::doctor {
namespace {

constexpr std::int64_t kDayMicros = std::int64_t{86'400} * 1'000'000;
constexpr const char* kCertificate = "tls.certificate";
constexpr const char* kKey = "tls.key";
constexpr mode_t kModeBits = 07777;

}  // namespace

Finding JudgeCertificate(const tls::Certificate& certificate, Timestamp now) {
  const std::int64_t left = certificate.not_after.micros - now.micros;
  if (left <= 0) {
    return Failed(kCertificate,
                  fmt::format("{} ended at {}", certificate.subject, ToText(certificate.not_after)),
                  "renew it, then reload the daemon");
  }
  if (now < certificate.not_before) {
    return Failed(kCertificate,
                  fmt::format("{} begins at {}", certificate.subject, ToText(certificate.not_before)),
                  "see that the clock is right, or wait");
  }
  std::string found =
      fmt::format("{}, by {}, {} days left", certificate.subject, certificate.issuer, left / kDayMicros);
  if (left < tls::kRenewalMicros)
    return Warning(kCertificate, std::move(found), "renew it, then reload the daemon");
  return Ok(kCertificate, std::move(found));
}

Finding JudgeKeyFile(const std::string& path, mode_t mode) {
  std::string found = fmt::format("{}, mode {:04o}", path, mode & kModeBits);
  if ((mode & (S_IROTH | S_IWOTH)) != 0) return Warning(kKey, std::move(found), "chmod o-rw " + path);
  return Ok(kKey, std::move(found));
}

Subject CertificateSubject(tls::Files files, const Clock& clock) {
  return {.checks = {kCertificate, kKey}, .look = [files = std::move(files), &clock](const Tell& tell) {
            const auto identity = tls::Identity::Load(files);
            tell(JudgeCertificate(identity->certificate(), clock.WallNow()));
            const std::string& key = files.key.empty() ? files.certificate : files.key;
            struct stat about {};
            if (::stat(key.c_str(), &about) == 0) tell(JudgeKeyFile(key, about.st_mode));
          }};
}

}  // namespace gathering::doctor
