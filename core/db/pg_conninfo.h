#pragma once
// How we connect: the database URL and our own settings.  For the driver files (core/db/pg*.cpp) only.
#include <map>
#include <string>

#include "core/db/connection.h"

namespace gathering::db {

// The keywords that `url`, a libpq URL or keyword string, sets.  Throws UnreadableUrl.
[[nodiscard]] std::map<std::string, std::string, std::less<>> ParseConnInfo(const std::string& url);

// The URL as keywords, with our own where it is silent.  Throws UnreadableUrl.
[[nodiscard]] std::string ConnInfo(const ConnectionOptions& options);

// The statements that make a new session ours.
[[nodiscard]] std::string SessionSettings(const ConnectionOptions& options);

}  // namespace gathering::db
