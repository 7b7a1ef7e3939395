#include "core/db/costs.h"

#include <algorithm>

namespace gathering::db {

void Costs::Note(const Query& query, Duration run) {
  const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(used_);
  const auto known =
      std::find_if(entries_.begin(), end, [&](const Entry& entry) { return entry.query == &query; });
  Entry* entry = &rest_;
  if (known != end) {
    entry = &*known;
  } else if (used_ < kNamesMax) {
    entry = &entries_[used_++];
    entry->query = &query;
  }
  ++entry->count;
  entry->run += run;
}

}  // namespace gathering::db
