#pragma once
// What the files, users and processes of a private PostgreSQL cluster need, step by step.
// core/db/embedded.cpp has the order of the steps and the server's life; core/doctor/embedded.cpp looks at
// what is there with those that change nothing.
//
// Everything that can be put right by a person throws Error kRejected or kUnavailable with a
// message that says how.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/child.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/db/embedded.h"

namespace gathering::db {

// Where the parts of one data directory are.
struct ClusterPaths {
  explicit ClusterPaths(std::string data_directory);

  std::string data_dir;
  std::string cluster;
  std::string log;
  std::string lock;
  std::string settings;
  std::string name;  // of the cluster, in the titles of its processes; tells it from all others
};

// PostgreSQL's programs of one version.
struct Binaries {
  std::string directory;
  int major = 0;
};

// Makes the data directory if need be; answers its true path.
[[nodiscard]] std::string MakeDataDir(const std::string& wanted);

// `wanted` is the version of an existing cluster; without one the newest are taken.
[[nodiscard]] Binaries FindBinaries(const EmbeddedOptions& options, std::optional<int> wanted);

// Who runs the server.  `cluster_owner` is nobody when there is no cluster yet.
[[nodiscard]] Account ChooseAccount(const EmbeddedOptions& options, std::optional<uid_t> cluster_owner);

// As root: makes sure that `account` can get to the data directory.
void LetIn(const Account& account, const std::string& data_dir);

// initdb and the first database, made beside their place and renamed: an interruption leaves no half.
void MakeCluster(const EmbeddedOptions& options, const ClusterPaths& paths, const Binaries& binaries,
                 const Account& account);

// Ends server processes whose owner was killed, and forgets the marks of dead ones that would keep
// the next server from starting.
void EndLeftovers(const ClusterPaths& paths, const Account& account, const Clock& clock);
void ForgetDeadServer(const ClusterPaths& paths, const std::string& socket_dir);

// The directory of the server's socket: in the data directory where its path is short enough.
[[nodiscard]] std::string ChooseSocketDir(const ClusterPaths& paths);
void MakeSocketDir(const std::string& directory, const Account& account);

// The settings and who may connect.
void WriteServerFiles(const EmbeddedOptions& options, const ClusterPaths& paths,
                      const std::string& socket_dir, const Account& account);

// How to run one of PostgreSQL's programs on this cluster.
[[nodiscard]] ChildOptions ServerCommand(const ClusterPaths& paths, const Account& account,
                                         std::vector<std::string> arguments, const Fd& output);

[[nodiscard]] Fd OpenLog(const ClusterPaths& paths);  // empties it when it has grown large
[[nodiscard]] std::string LastComplaint(
    const ClusterPaths& paths);  // what the server said was wrong; for an error's cause
[[nodiscard]] std::string ConnectionText(const std::string& socket_dir);  // for libpq

// Small helpers of both files.
[[nodiscard]] Error SystemError(std::string_view what, const std::string& path);  // with errno's text
[[nodiscard]] Error Away(std::string message, std::string cause = {});
[[nodiscard]] std::vector<std::string> Lines(const std::string& text);
[[nodiscard]] std::optional<int> LeadingNumber(std::string_view text);

}  // namespace gathering::db
