#pragma once
// Bounds that several parts share.
#include <cstdint>

namespace gathering {

// Lists without pages answer at most so many rows; those beyond are left out.
inline constexpr std::int64_t kListRowsMax = 10'000;

}  // namespace gathering
