#pragma once
// Caches for people, spreadsheets and Prometheus.
#include <cstdint>
#include <string>

#include "cmd/cache_look.h"

namespace gathering::cmd {

// "812", "12.3k", "4M".
[[nodiscard]] std::string CountText(std::int64_t count);
// "812 B", "1.2 MiB".
[[nodiscard]] std::string BytesText(std::int64_t bytes);
// "350 ms", "12.3 s", "4.1 min", "3.2 h", "2 d".
[[nodiscard]] std::string AgeText(std::int64_t milliseconds);

// A table, a row for each cache, and a line for the instances if there are some.
[[nodiscard]] std::string CachesText(const CachesLook& look);

// What the hit ratio would be at other sizes, and a sentence on whether one is worth it.
[[nodiscard]] std::string AdviceText(const CacheLook& cache);

// RFC 4180.
[[nodiscard]] std::string CachesCsvHeader();
[[nodiscard]] std::string CachesCsv(const CachesLook& look);

// Prometheus's text exposition format, version 0.0.4.
[[nodiscard]] std::string CachesPrometheus(const CachesLook& look);

}  // namespace gathering::cmd
