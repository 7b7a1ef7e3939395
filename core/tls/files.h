#pragma once
// Where a server's certificate and key are.
#include <string>

namespace gathering::tls {

struct Files {
  std::string certificate;  // PEM: the server's own certificate first, then its chain
  std::string key;          // PEM, without a passphrase; empty: it is in the certificate's file
};

}  // namespace gathering::tls
