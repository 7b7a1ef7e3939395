#pragma once
// The families of GET /metrics, each function those of one part of the daemon.
//
// Everything comes from statistics that are kept anyway; nobody is asked for more, least of all the database.
// Labels come from what is fixed when the daemon starts (routes, statements, tiers, caches, loops), never
// from what a client sent, so the number of series has a bound.  Callable from any thread; some walk tables
// and take locks for a moment, so they belong on a worker.
#include <cstddef>
#include <vector>

#include "core/metrics/exposition.h"
#include "daemon/http/call.h"

namespace gathering::http {

void WriteHttpMetrics(const Services& services, metrics::Exposition& out);
void WriteDatabaseMetrics(const Services& services, metrics::Exposition& out);
void WriteLimitMetrics(const Services& services, metrics::Exposition& out);
void WriteEventMetrics(const Services& services, metrics::Exposition& out);
void WriteCacheMetrics(const Services& services, metrics::Exposition& out);
void WriteProcessMetrics(metrics::Exposition& out);  // reads /proc

inline constexpr double kNanosPerSecond = 1e9;

// A family whose samples are a member of somebody's statistics.
template <class Stats, class T>
struct Column {
  metrics::Family family;
  T Stats::*member;
};

// A family with one sample.
template <class T>
void WriteOne(metrics::Exposition& out, const metrics::Family& family, T value) {
  out.Begin(family);
  out.Sample({}, value);
}

// For each column one sample without labels.
template <class Stats, class T, std::size_t N, class Row>
void WriteColumns(metrics::Exposition& out, const Column<Stats, T> (&columns)[N], const Row& row) {
  for (const auto& column : columns) WriteOne(out, column.family, row.*column.member);
}

// For each column a sample of each row, told apart by `label(row)`.
template <class Stats, class T, std::size_t N, class Row, class F>
void WriteColumns(metrics::Exposition& out, const Column<Stats, T> (&columns)[N],
                  const std::vector<Row>& rows, F&& label) {
  for (const auto& column : columns) {
    out.Begin(column.family);
    for (const Row& row : rows) out.Sample({label(row)}, row.*column.member);
  }
}

}  // namespace gathering::http
