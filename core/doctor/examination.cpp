#include "core/doctor/examination.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/fd.h"
#include "core/base/text.h"
#include "core/config/value.h"
#include "core/schema/reader.h"
#include "core/schema/writer.h"

namespace gathering::doctor {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kTextBytesMax = 1'048'576;  // of one subject
constexpr std::string_view kPatience = "see what it waits for, or give it more time with --timeout";

Error Cannot(std::string_view what) {
  return Error{Code::kInternal, fmt::format("cannot {}: {}", what, std::strerror(errno))};
}

// In the child: a finding a line; one without a name says why there are no more.
void Look(const Subject& subject, int output) {
  const auto tell = [output](const Finding& finding) { WriteAll(output, schema::ToJson(finding) + "\n"); };
  try {
    subject.look(tell);
  } catch (const Error& error) {
    tell(FromError({}, error));
  } catch (const std::exception& error) {
    tell(Failed({}, error.what(), {}));
  }
}

// A subject being looked at.
class Examined {
 public:
  explicit Examined(const Subject& subject) : subject_(subject) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Cannot("make a pipe");
    reader_ = Fd{ends[0]};
    Fd writer{ends[1]};
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw Cannot("start a process");
    if (pid_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    Look(subject_, writer.get());
    ::_exit(0);
  }
  ~Examined() {
    if (pid_ > 0) End();
  }
  Examined(const Examined&) = delete;
  Examined& operator=(const Examined&) = delete;

  [[nodiscard]] int descriptor() const { return reader_.get(); }  // negative: it has ended

  void Read() {
    std::array<char, 16'384> buffer;
    const ssize_t size = ::read(reader_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) return;
    if (size > 0 && text_.size() < kTextBytesMax) {
      text_.append(buffer.data(), static_cast<std::size_t>(size));
    } else {
      reader_.Reset();
    }
  }

  // What it told; `deadline` is what it had when it has not ended.
  std::vector<Finding> Findings(milliseconds deadline) {
    std::optional<Finding> why;
    std::vector<Finding> told;
    for (const std::string& line : Split(text_.substr(0, text_.rfind('\n') + 1), '\n')) {
      std::vector<FieldError> errors;
      Finding finding = schema::ReadJson<Finding>(schema::ParseJson(line, {}), "finding", errors);
      if (finding.name.empty()) {
        why = std::move(finding);
      } else {
        told.push_back(std::move(finding));
      }
    }
    if (reader_.valid()) {
      why = Failed({}, fmt::format("no answer within {}", config::ToText(deadline)), std::string{kPatience});
    } else if (const int status = End(); WIFSIGNALED(status)) {
      why = Failed({}, fmt::format("the check ended by signal {}", WTERMSIG(status)), {});
    }
    return Completed(subject_.checks, std::move(told), why);
  }

 private:
  // One that hangs in the kernel does not end before that lets it go; it is not waited for.
  int End() {
    const bool hangs = reader_.valid();
    if (hangs) ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, hangs ? WNOHANG : 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

  const Subject& subject_;
  Fd reader_;
  pid_t pid_ = -1;
  std::string text_;
};

void ReadUntil(std::vector<std::unique_ptr<Examined>>& looks, Clock::Steady give_up_at, const Clock& clock) {
  for (;;) {
    std::vector<pollfd> watched;
    for (const auto& look : looks) watched.push_back({look->descriptor(), POLLIN, 0});
    if (std::ranges::all_of(watched, [](const pollfd& one) { return one.fd < 0; })) return;
    const auto left = std::chrono::ceil<milliseconds>(give_up_at - clock.Now());
    if (left.count() <= 0) return;
    if (::poll(watched.data(), watched.size(), static_cast<int>(left.count())) <= 0) continue;
    for (std::size_t i = 0; i < looks.size(); ++i) {
      if (watched[i].revents != 0) looks[i]->Read();
    }
  }
}

}  // namespace

std::vector<Finding> Completed(const std::vector<std::string>& checks, std::vector<Finding> told,
                               const std::optional<Finding>& why) {
  std::set<std::string_view> names;
  for (const Finding& finding : told) names.insert(finding.name);
  std::vector<std::string> missing;
  for (const std::string& check : checks) {
    if (!names.contains(check)) missing.push_back(check);
  }
  if (missing.empty()) return told;
  std::string needed = told.empty() ? missing.front() : told.back().name;
  if (why) {
    told.push_back(*why);
    told.back().name = needed = missing.front();
    missing.erase(missing.begin());
  }
  for (const std::string& check : missing) told.push_back(Skipped(check, fmt::format("needs {}", needed)));
  return told;
}

std::vector<Finding> Examine(const std::vector<Subject>& subjects, milliseconds deadline,
                             const Clock& clock) {
  const Clock::Steady give_up_at = clock.Now() + deadline;
  std::vector<std::unique_ptr<Examined>> looks;
  for (const Subject& subject : subjects) looks.push_back(std::make_unique<Examined>(subject));
  ReadUntil(looks, give_up_at, clock);
  std::vector<Finding> all;
  for (const auto& look : looks) {
    for (Finding& finding : look->Findings(deadline)) all.push_back(std::move(finding));
  }
  return all;
}

}  // namespace gathering::doctor
