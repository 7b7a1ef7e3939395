// Precompiled for the daemon: what half of its sources read before their own first line.
#include "core/base/pch.h"

#include "daemon/api/table.h"
