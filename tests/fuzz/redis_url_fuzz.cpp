// Redis URLs: never a password in what is said of one.
#include "core/limits/redis_url.h"

#include "core/base/error.h"
#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  using gathering::limits::ParseRedisUrl;
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  try {
    const auto url = ParseRedisUrl(text);
    Require(url.socket.empty() != url.host.empty(), "it is a socket or a host");
    Require(url.port != 0 && url.socket.size() <= 107, "it can be connected to");
    Require(url.database <= 1'000'000, "the database is bounded");
    for (const std::string* part : {&url.host, &url.socket, &url.user, &url.password, &url.ca_file,
                                    &url.certificate_file, &url.key_file})
      Require(part->find('\0') == std::string::npos, "no part holds a NUL");
    Require(gathering::limits::ToText(url).find("hunter") == std::string::npos ||
                url.host.find("hunter") != std::string::npos ||
                url.socket.find("hunter") != std::string::npos,
            "only the place is told");
  } catch (const gathering::Error& error) {
    Require(error.code == gathering::Code::kInvalid, "a URL that cannot be read is the operator's fault");
    Require(error.message.find('\n') == std::string::npos, "a refusal is one line");
    // Whatever stands before an at-sign may be a password, wherever its writer forgot an escape.
    const std::size_t marker = text.find("hunter");
    const std::size_t at = text.rfind('@');
    const bool once = marker == text.rfind("hunter");
    const bool secret =
        once && marker != std::string_view::npos && at != std::string_view::npos && marker < at;
    if (secret && error.message.find("hunter") != std::string::npos)
      throw gathering::fuzz::BrokenPromise{"a refusal holds no password: " + error.message};
  }
  return 0;
}
