#pragma once
// Reading a database URL.  For the driver files (core/db/pg*.cpp) only.
#include <map>
#include <string>

namespace gathering::db {

// The keywords that `url`, a libpq URL or keyword string, sets.  Throws UnreadableUrl.
[[nodiscard]] std::map<std::string, std::string, std::less<>> ParseConnInfo(const std::string& url);

}  // namespace gathering::db
