#pragma once
// Finds the route of a request: a tree of path segments, built once, never changed.
//
// A fixed segment goes before a parameter, whatever the order of the rows, and a
// parameter is tried when what follows the fixed segment does not fit.  Segments are
// percent-decoded before they are compared, so an encoded slash never separates.  No
// segment may be empty.  Every path is also found under "/api".
//
// Safe from any thread.
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/schema/reader.h"
#include "daemon/http/message.h"
#include "daemon/http/route.h"

namespace gathering::http {

inline constexpr std::string_view kApiPrefix = "/api";

struct Match {
  enum class Kind : std::uint8_t {
    kFound,
    kNotFound,
    kMalformed,         // a broken escape, a NUL, or not UTF-8
    kMethodNotAllowed,  // the path is known, see `allow`
    kTrailingSlash,     // known without the slash at its end
  };
  Kind kind = Kind::kNotFound;
  const Route* route = nullptr;            // with kFound
  schema::Pairs parameters = {};           // with kFound, decoded
  std::string allow = {};                  // with kMethodNotAllowed, e.g. "GET, HEAD, OPTIONS"
  Authority authority = Authority::kUser;  // of the route, or the mildest at this path
};

class Router {
 public:
  // The rows are borrowed.  Throws Error kInternal naming two rows that would answer the same requests.
  explicit Router(std::span<const std::span<const Route>> tables);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // `path` as sent.  GET routes also serve HEAD.
  [[nodiscard]] Match Find(Method method, std::string_view path) const;

 private:
  struct Node;
  struct Search;

  void Add(const Route& route);
  static void Visit(const Node& node, std::size_t depth, Search& search);

  std::unique_ptr<Node> root_;
};

}  // namespace gathering::http
