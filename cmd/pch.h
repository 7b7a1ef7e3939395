// Precompiled for the commands.
#include "core/base/pch.h"

#include "cmd/command.h"
