#include "core/auth/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "core/auth/token.h"
#include "core/base/error.h"

namespace gathering::auth {
namespace {

constexpr std::size_t kSecretRandomBytes = 32;
constexpr std::size_t kSecretDigits = 2 * kSecretRandomBytes;

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

Error SystemError(std::string_view what, const std::string& path) {
  const std::string reason = std::generic_category().message(errno);
  return Error{Code::kUnavailable, fmt::format("{} {}: {}", what, path, reason)};
}

// nullopt when there is none.
std::optional<std::string> Load(const std::string& path) {
  const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (file.fd() < 0) {
    if (errno == ENOENT) return std::nullopt;
    throw SystemError("cannot open", path);
  }
  struct stat status {};
  if (::fstat(file.fd(), &status) != 0) throw SystemError("cannot look at", path);
  if (!S_ISREG(status.st_mode) || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    throw Error{Code::kRejected,
                fmt::format("{} must be a file that only its owner can read: chmod 600", path)};
  }
  std::array<char, kSecretDigits + 2> buffer{};
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = ::read(file.fd(), buffer.data() + size, buffer.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SystemError("cannot read", path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  std::string_view text{buffer.data(), size};
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.size() != kSecretDigits || text.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    throw Error{Code::kRejected, fmt::format("{} does not hold {} hexadecimal digits", path, kSecretDigits)};
  }
  return std::string{text};
}

void WriteWhole(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw SystemError("cannot write", path);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fsync(fd) != 0) throw SystemError("cannot write", path);
}

// A file under a name that mkostemp makes up, which disappears again however Create ends.
class Draft {
 public:
  explicit Draft(const std::string& target)
      : path_(target + '.' + std::string(6, 'X')), file_(::mkostemp(path_.data(), O_CLOEXEC)) {
    if (file_.fd() < 0) throw SystemError("cannot create", path_);
  }
  ~Draft() { ::unlink(path_.c_str()); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return file_.fd(); }

 private:
  std::string path_;
  File file_;
};

// Does nothing when somebody else was faster.
void Create(const std::string& data_dir, const std::string& path) {
  const Draft draft{path};
  WriteWhole(draft.fd(), RandomHex(kSecretRandomBytes) + "\n", draft.path());
  if (::link(draft.path().c_str(), path.c_str()) != 0 && errno != EEXIST) {
    throw SystemError("cannot create", path);
  }
  const File directory{::open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.fd() < 0 || ::fsync(directory.fd()) != 0) throw SystemError("cannot write", data_dir);
}

}  // namespace

std::string LoadOrCreateSecret(const std::string& data_dir) {
  const std::string path = data_dir + "/secret_key";
  if (auto secret = Load(path)) return *std::move(secret);
  Create(data_dir, path);
  if (auto secret = Load(path)) return *std::move(secret);
  throw Error{Code::kUnavailable, fmt::format("{} disappeared", path)};
}

}  // namespace gathering::auth
