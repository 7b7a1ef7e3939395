#include "core/doctor/doctor.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/config/control_socket.h"
#include "core/doctor/certificate.h"
#include "core/doctor/configuration.h"
#include "core/doctor/database.h"
#include "core/doctor/files.h"
#include "core/doctor/machine.h"
#include "core/doctor/redis.h"

namespace gathering::doctor {
namespace {

// Told without looking.
Subject AllSkipped(std::vector<std::string> checks, std::string why) {
  Subject subject{.checks = std::move(checks), .look = {}};
  subject.look = [checks = subject.checks, why = std::move(why)](const Tell& tell) {
    for (const std::string& check : checks) tell(Skipped(check, why));
  };
  return subject;
}

class Rounds {
 public:
  Rounds(const Patient& patient, const Clock& clock)
      : patient_(patient), clock_(clock), config_(patient.attempt.loaded.config) {}

  std::vector<Subject> All() {
    const Need need = NeedOf(config_, patient_.loops);
    Add({}, ConfigFileSubject(patient_.attempt.loaded.file));
    Add({"database.", "data_dir"}, Database(need));
    Add({"rate_limits.redis_"}, Redis());
    Add({"http.tls."}, Certificate());
    Add({}, ClockSubject(clock_));
    Add({}, LimitsSubject(need));
    Add({"data_dir", "http.control_socket"}, Directories());
    for (const std::string& address : config_.http.listen)
      Add({"http.listen"}, Port("listen " + address, address));
    if (const std::string path = ControlSocketOf(config_).path; !path.empty())
      Add({"data_dir", "http.control_socket"}, Port("listen control socket", "unix:" + path));
    return std::move(all_);
  }

 private:
  void Add(std::initializer_list<std::string_view> keys, Subject subject) {
    const bool refused =
        std::ranges::any_of(keys, [&](std::string_view prefix) { return Refused(patient_.attempt, prefix); });
    if (refused) subject = AllSkipped(std::move(subject.checks), "needs config.values");
    all_.push_back(std::move(subject));
  }

  Subject Database(const Need& need) const {
    const db::PoolOptions& pool = config_.database.pool;
    return DatabaseSubject({.url = pool.url,
                            .embedded = patient_.embedded,
                            .connect_timeout = pool.connect_timeout,
                            .deadline = patient_.deadline,
                            .connections = need.database_connections},
                           clock_);
  }

  Subject Redis() const {
    const RateLimitsConfig& limits = config_.rate_limits;
    Subject subject = RedisSubject(
        {.url = limits.redis_url, .timeout = limits.redis_timeout, .deadline = patient_.deadline}, clock_);
    if (!limits.redis_url.empty()) return subject;
    return AllSkipped({"redis.connect"}, "rate_limits.redis_url is not set; each daemon limits for itself");
  }

  Subject Certificate() const {
    Subject subject = CertificateSubject(config_.http.tls, clock_);
    if (!config_.http.tls.certificate.empty()) return subject;
    return AllSkipped(std::move(subject.checks), "http.tls.certificate is not set; clients come without TLS");
  }

  Subject Directories() const {
    const ControlSocket control = ControlSocketOf(config_);
    return DirectoriesSubject(
        {.data_dir = config_.data_dir, .control_socket = control.path, .control_required = control.required});
  }

  Subject Port(std::string name, std::string address) const {
    return PortSubject({.address = std::move(address),
                        .name = std::move(name),
                        .control_socket = ControlSocketOf(config_).path,
                        .ask = patient_.ask});
  }

  const Patient& patient_;
  const Clock& clock_;
  const Config& config_;
  std::vector<Subject> all_;
};

}  // namespace

std::vector<Subject> Subjects(const Patient& patient, const Clock& clock) {
  return Rounds{patient, clock}.All();
}

Verdict Gravest(const std::vector<Finding>& findings) {
  Verdict gravest = Verdict::kOk;
  for (const Finding& finding : findings) gravest = std::max(gravest, finding.verdict);
  return gravest;
}

}  // namespace gathering::doctor
