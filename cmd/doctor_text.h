#pragma once
// How `gathering doctor` is read: by people and by programs.
#include <cstddef>
#include <string>
#include <vector>

#include "core/doctor/finding.h"

namespace gathering::cmd {

// A row for each finding, its remedy below it, and a last line with the counts.  What is found is broken at
// spaces to fit `columns`.
[[nodiscard]] std::string DoctorText(const std::vector<doctor::Finding>& findings, std::size_t columns,
                                     bool colour);

// On one line, with "schema": 1.
[[nodiscard]] std::string DoctorJson(const std::vector<doctor::Finding>& findings);

}  // namespace gathering::cmd
