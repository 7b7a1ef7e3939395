#include "core/doctor/files.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fcntl.h>
#include <sys/un.h>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "core/base/child.h"

namespace gathering::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSocketPathMax = sizeof(sockaddr_un::sun_path) - 1;
constexpr mode_t kModeBits = 07777;

std::string ErrnoText(int error) {
  return std::generic_category().message(error);
}

std::string Us() {
  return UserName(::geteuid());
}

// "owned by gathering, mode 0750".
std::string Ownership(const struct stat& about) {
  return fmt::format("owned by {}, mode {:04o}", UserName(about.st_uid), about.st_mode & kModeBits);
}

bool EverybodyWrites(const struct stat& about) {
  return (about.st_mode & S_IWOTH) != 0 && (about.st_mode & S_ISVTX) == 0;
}

Finding DataDirectory(const std::string& path) {
  const std::string name = "directory.data";
  if (auto problem = DirectoryProblem(name, path)) return *std::move(problem);
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0)
    return Ok(name, fmt::format("{} is not there yet; the first start makes it", path));
  const std::string found = fmt::format("{}, {}", path, Ownership(about));
  if (EverybodyWrites(about)) return Warning(name, found, fmt::format("chmod o-w {}", path));
  return Ok(name, found);
}

Finding SpaceOf(const std::string& path) {
  const std::string name = "directory.space";
  const std::string there = NearestExisting(path);
  struct statvfs about {};
  if (::statvfs(there.c_str(), &about) != 0)
    throw Error{Code::kRejected, fmt::format("cannot look at {}: {}", there, ErrnoText(errno))};
  return JudgeSpace(name, there,
                    {.free = std::uint64_t{about.f_bavail} * about.f_frsize,
                     .all = std::uint64_t{about.f_blocks} * about.f_frsize});
}

Finding SocketDirectory(const DirectoriesOptions& options) {
  const std::string name = "directory.socket";
  const std::string& path = options.control_socket;
  if (path.empty()) return Skipped(name, "http.control_socket is none");
  if (path.size() > kSocketPathMax) {
    Finding finding =
        Warning(name, fmt::format("{} is over {} bytes, more than a socket can have", path, kSocketPathMax),
                "give a shorter path in http.control_socket");
    if (options.control_required) finding.verdict = Verdict::kFailed;
    return finding;
  }
  const std::string directory = fs::path{path}.parent_path().string();
  const bool in_data_dir = directory == options.data_dir;
  std::error_code ignored;
  if (!in_data_dir && !fs::exists(directory, ignored)) {
    return Failed(name, fmt::format("{} does not exist", directory),
                  fmt::format("make it for the daemon's user: install -d -o {} {}", Us(), directory));
  }
  if (auto problem = DirectoryProblem(name, directory))
    return in_data_dir ? Skipped(name, "needs directory.data") : *std::move(problem);
  return Ok(name, path);
}

Finding LookAtConfigFile(const std::string& path) {
  const std::string name = "config.file";
  if (path.empty()) return Ok(name, "none was read; flags, environment and defaults decide");
  for (const std::string& one : {path, fs::absolute(path).parent_path().string()}) {
    struct stat about {};
    if (::stat(one.c_str(), &about) != 0) {
      return Failed(name, fmt::format("cannot look at {}: {}", one, ErrnoText(errno)),
                    "give a file that can be read with --config");
    }
    if (!S_ISCHR(about.st_mode) && EverybodyWrites(about)) {
      return Warning(name,
                     fmt::format("{} can be changed by everybody, and decides what the daemon does", one),
                     fmt::format("chmod o-w {}", one));
    }
    if (one == path && about.st_uid != 0 && about.st_uid != ::geteuid()) {
      return Warning(
          name,
          fmt::format("{} belongs to {}, who decides what the daemon does", one, UserName(about.st_uid)),
          fmt::format("chown {} {}", Us(), one));
    }
  }
  return Ok(name, path);
}

}  // namespace

Finding JudgeSpace(const std::string& name, const std::string& path, const Space& space) {
  const double part = space.all == 0 ? 0 : static_cast<double>(space.free) / static_cast<double>(space.all);
  const std::string found =
      fmt::format("{} of {} free on the file system of {}", SizeText(space.free), SizeText(space.all), path);
  if (space.free >= kFreeBytesMin && part >= kFreePartMin) return Ok(name, found);
  return Warning(name, found, "make room, or give another --data-dir; a full disk stops every write");
}

std::string SizeText(std::uint64_t bytes) {
  constexpr double kStep = 1'024;
  double size = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (size < kStep) break;
    size /= kStep;
    unit = next;
  }
  return fmt::format("{:.{}f} {}", size, bytes < 1'024 ? 0 : 1, unit);
}

std::string NearestExisting(const std::string& path) {
  fs::path at{path};
  struct stat about {};
  while (::stat(at.c_str(), &about) != 0 && at.has_relative_path()) at = at.parent_path();
  return at.string();
}

std::optional<Finding> DirectoryProblem(const std::string& name, const std::string& path) {
  const std::string there = NearestExisting(path);
  struct stat about {};
  if (::stat(there.c_str(), &about) != 0) {
    return Failed(name, fmt::format("cannot look at {}: {}", there, ErrnoText(errno)),
                  "let the daemon's user in there");
  }
  if (!S_ISDIR(about.st_mode)) {
    return Failed(name, fmt::format("{} is not a directory", there),
                  "move it away, or name another directory");
  }
  if (::faccessat(AT_FDCWD, there.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return std::nullopt;
  const std::string why =
      errno == EROFS ? "is on a read-only file system" : fmt::format("cannot be written by {}", Us());
  return Failed(name, fmt::format("{} ({}) {}", there, Ownership(about), why),
                fmt::format("give it to the daemon's user: chown {} {}", Us(), there));
}

Subject DirectoriesSubject(DirectoriesOptions options) {
  return {.checks = {"directory.data", "directory.space", "directory.socket"},
          .look = [options = std::move(options)](const Tell& tell) {
            tell(DataDirectory(options.data_dir));
            tell(SpaceOf(options.data_dir));
            tell(SocketDirectory(options));
          }};
}

Subject ConfigFileSubject(std::string path) {
  return {.checks = {"config.file"},
          .look = [path = std::move(path)](const Tell& tell) { tell(LookAtConfigFile(path)); }};
}

std::string UserName(uid_t uid) {
  const auto account = FindAccount(uid);
  return account ? account->name : fmt::format("{}", uid);
}

}  // namespace gathering::doctor
