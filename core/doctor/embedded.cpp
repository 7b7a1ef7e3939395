// What there is of an embedded server, looked at without touching it: its owner may be starting it just now.
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/db/cluster.h"
#include "core/doctor/database.h"
#include "core/doctor/files.h"

namespace gathering::doctor {
namespace {

constexpr mode_t kClusterModeForbidden = 0027;  // PostgreSQL refuses more than 0750

struct Files {
  explicit Files(const std::string& data_dir) : paths(data_dir) {
    struct stat about {};
    exists = ::stat(paths.cluster.c_str(), &about) == 0;
    owner = about.st_uid;
    mode = about.st_mode & 07777;
    version = db::LeadingNumber(ReadText(paths.cluster + "/PG_VERSION"));
  }

  db::ClusterPaths paths;
  bool exists = false;
  uid_t owner = 0;
  mode_t mode = 0;
  std::optional<int> version;
};

Finding Programs(const db::EmbeddedOptions& options, const Files& files) {
  try {
    const db::Binaries found = db::FindBinaries(options, files.version);
    return Ok("database.programs", fmt::format("PostgreSQL {} in {}", found.major, found.directory));
  } catch (const Error& error) {
    return FromError("database.programs", error);
  }
}

Finding User(const db::EmbeddedOptions& options, const Files& files) {
  const std::string name = "database.user";
  try {
    const Account account =
        db::ChooseAccount(options, files.exists ? std::optional{files.owner} : std::nullopt);
    const std::string found = fmt::format("PostgreSQL runs as {}", UserName(account.uid));
    if (::geteuid() != 0) return Ok(name, found);
    const std::string there = NearestExisting(options.data_dir);
    const auto closed = FirstClosedDirectory(there, account);
    if (!closed || *closed == options.data_dir) return Ok(name, found);  // the start opens its own directory
    return Failed(name,
                  fmt::format("{}, who cannot enter {} on the way to {}", found, *closed, options.data_dir),
                  fmt::format("chmod o+x {}, or give another --data-dir", *closed));
  } catch (const Error& error) {
    return FromError(name, error);
  }
}

Finding ClusterFiles(const Files& files, const std::optional<pid_t>& holder) {
  const std::string name = "database.files";
  const std::string& cluster = files.paths.cluster;
  if (!files.exists) return Ok(name, fmt::format("none in {} yet; the first start makes them", cluster));
  if (!files.version) {
    return Failed(name, fmt::format("{} is not a PostgreSQL cluster, or is not ours to read", cluster),
                  "move it away, or be the user it belongs to");
  }
  const std::string found = fmt::format("PostgreSQL {} in {}", *files.version, cluster);
  if ((files.mode & kClusterModeForbidden) != 0) {
    return Failed(name, fmt::format("{}, mode {:04o}, which PostgreSQL refuses", found, files.mode),
                  fmt::format("chmod 0700 {}", cluster));
  }
  if (holder) return Ok(name, fmt::format("{}, run by gathering pid {}", found, *holder));
  return Ok(name, found + ", not in use");
}

}  // namespace

std::optional<pid_t> LockHolder(std::string_view locks, ino_t inode) {
  for (const std::string& line : Split(locks, '\n')) {
    // "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF"
    const std::vector<std::string> words = Split(line, ' ');
    constexpr std::size_t kWordsMin = 6;
    if (words.size() < kWordsMin || words[1] != "FLOCK" || words[3] != "WRITE") continue;
    const std::string& place = words[5];
    const auto pid = db::LeadingNumber(words[4]);
    if (pid && place.substr(place.rfind(':') + 1) == std::to_string(inode)) return *pid;
  }
  return std::nullopt;
}

std::string LookAtEmbedded(const db::EmbeddedOptions& options, const Tell& tell) {
  const Files files{options.data_dir};
  struct stat lock {};
  std::optional<pid_t> holder;
  if (::stat(files.paths.lock.c_str(), &lock) == 0) holder = LockHolder(ReadText("/proc/locks"), lock.st_ino);
  tell(Programs(options, files));
  tell(User(options, files));
  tell(ClusterFiles(files, holder));
  const auto lines = db::Lines(ReadText(files.paths.lock));
  if (holder && lines.size() > 1) return db::ConnectionText(lines[1]);
  tell(Skipped("database.connect",
               holder ? "the server is being started, or one command has it for itself; ask again later"
                      : "the server does not run; the daemon starts it"));
  return {};
}

}  // namespace gathering::doctor
