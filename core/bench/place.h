#pragma once
// The schema a benchmark works in: made for it, held against other runs, and removed.
//
// A run holds an advisory lock on its own connection as long as it lives.  What a killed run left behind is
// known by its comment and replaced; a schema of the same name that somebody else made is not touched.
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/error.h"
#include "core/bench/report.h"
#include "core/bench/workload.h"
#include "core/db/connection.h"

namespace gathering::bench {

// Another benchmark runs in the database.
class Busy : public Error {
 public:
  using Error::Error;
};

class Place {
 public:
  // Connects and takes the lock.  Throws Busy, Error kRejected when the schema is somebody else's, and
  // as db::Connection does.
  explicit Place(db::ConnectionOptions options);
  ~Place();  // removes what is left; a failure is logged
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  [[nodiscard]] const std::string& database() const { return database_; }
  [[nodiscard]] std::int64_t user_tables() const { return user_tables_; }  // besides its own
  [[nodiscard]] Environment ReadEnvironment();

  void Make(const Dimensions& dimensions);

  // On a new connection when the old one was lost.  Throws as db::Connection does.
  void Remove();

 private:
  void Connect();
  void Lock();

  const db::ConnectionOptions options_;
  std::unique_ptr<db::Connection> connection_;
  std::string database_;
  std::int64_t user_tables_ = 0;
  bool exists_ = false;
};

}  // namespace gathering::bench
