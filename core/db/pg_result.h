#pragma once
// What libpq answers, as ours.  For the driver files (core/db/pg*.cpp) only.
#include <libpq-fe.h>

#include <memory>
#include <string>

#include "core/db/params.h"
#include "core/db/row.h"
#include "core/db/session.h"

namespace gathering::db {

using ConnOwner = std::unique_ptr<PGconn, void (*)(PGconn*)>;
using ResultOwner = std::unique_ptr<PGresult, void (*)(PGresult*)>;

[[nodiscard]] Rows ToRows(ResultOwner result);

// One field (PG_DIAG_…) of an error or a notice; empty when the server did not say.
[[nodiscard]] std::string_view FieldOf(const PGresult* result, int code);

// The error a statement was answered with; `what` begins the cause, for the log.
[[nodiscard]] SqlError ToError(const PGresult* result, std::string_view what = {});

// What libpq says about a connection, on one line.
[[nodiscard]] std::string Complaint(const PGconn* connection);

// The values as libpq wants them; they point into `params`.  Throws kRejected for a text with U+0000:
// values end at a NUL on their way to the server, and it could not store one anyway.
[[nodiscard]] std::vector<const char*> Pointers(const Params& params);

}  // namespace gathering::db
