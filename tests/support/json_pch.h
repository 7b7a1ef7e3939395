// Precompiled for the tests that read JSON: of the others each would pay two thirds of a second for it.
#include "tests/support/pch.h"

#include "tests/support/json.h"
