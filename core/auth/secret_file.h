#pragma once
// The key that signs tokens, for installations whose operator gave none.
#include <string>

namespace gathering::auth {

// Reads `data_dir`/secret_key; makes it first, with 64 random hexadecimal digits and mode 0600, when it
// does not exist.  It appears whole or not at all, and two processes that both make it agree on one.
// Throws kRejected when others than its owner may read it or it is not a key, kUnavailable when it
// cannot be read or written.
[[nodiscard]] std::string LoadOrCreateSecret(const std::string& data_dir);

}  // namespace gathering::auth
