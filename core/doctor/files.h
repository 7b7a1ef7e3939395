#pragma once
// Directories and files a daemon needs, as they are for the user who asks.  Looks only.
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/doctor/examination.h"

namespace gathering::doctor {

inline constexpr std::uint64_t kFreeBytesMin = 1'024ULL * 1'024 * 1'024;
inline constexpr double kFreePartMin = 0.05;

struct Space {
  std::uint64_t free = 0;  // bytes, for users who are not root
  std::uint64_t all = 0;
};

// Whether a file system of data that grows has room left.
[[nodiscard]] Finding JudgeSpace(const std::string& name, const std::string& path, const Space& space);

[[nodiscard]] std::string SizeText(std::uint64_t bytes);  // "3.2 GiB"

// The nearest directory above `path` that exists, or `path` itself.
[[nodiscard]] std::string NearestExisting(const std::string& path);

// What keeps the user from making files in the directory, which may not exist yet; nothing: it can be used.
// `what` and `flag` name the setting in what is said.
[[nodiscard]] std::optional<Finding> DirectoryProblem(const std::string& name, const std::string& path);

// As directory.data and directory.space, and with a control socket outside of the data directory
// directory.socket.
struct DirectoriesOptions {
  std::string data_dir;
  std::string control_socket;     // empty: none
  bool control_required = false;  // without it the daemon does not start
};
[[nodiscard]] Subject DirectoriesSubject(DirectoriesOptions options);

// As config.file: the configuration file, who may change it, and its directory.
[[nodiscard]] Subject ConfigFileSubject(std::string path);

// "postgres", or the number of a user nobody named.
[[nodiscard]] std::string UserName(uid_t uid);

}  // namespace gathering::doctor
