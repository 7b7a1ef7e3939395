#include "core/db/catalog.h"

#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "core/db/queries.h"

namespace gathering::db {
namespace {

constexpr std::size_t kShownBytesMax = 300;

// Definitions on one line, and not without end.
std::string Shown(const std::string& definition) {
  std::string line;
  for (const char c : definition) {
    const bool blank = c == ' ' || c == '\n' || c == '\t';
    if (blank && (line.empty() || line.back() == ' ')) continue;
    line += blank ? ' ' : c;
  }
  if (line.size() > kShownBytesMax) line = line.substr(0, kShownBytesMax) + "…";
  return line;
}

std::string Explained(const CatalogItem& item) {
  return item.definition.empty() ? "" : ": " + Shown(item.definition);
}

using Key = std::pair<std::string, std::string>;

std::map<Key, const CatalogItem*> ByName(const Catalog& catalog) {
  std::map<Key, const CatalogItem*> map;
  for (const CatalogItem& item : catalog) map.emplace(Key{item.kind, item.name}, &item);
  return map;
}

// The items of `catalog` that `other` lacks, without the parts of those.
std::vector<const CatalogItem*> Lacking(const Catalog& catalog,
                                        const std::map<Key, const CatalogItem*>& other) {
  std::vector<const CatalogItem*> lacking;
  std::set<std::string> wholes;
  for (const CatalogItem& item : catalog) {
    if (item.parent.empty() && !other.contains({item.kind, item.name}))
      wholes.insert(item.kind + " " + item.name);
  }
  for (const CatalogItem& item : catalog) {
    if (!other.contains({item.kind, item.name}) && !wholes.contains(item.parent)) lacking.push_back(&item);
  }
  return lacking;
}

}  // namespace

std::string QuoteIdentifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

void SetSearchPath(Session& session, const std::string& schema) {
  std::string path = QuoteIdentifier(schema);
  const Rows rows = session.Query(sql::kCatalogExtensionSchemas);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto other = rows.As<std::string>(i);
    if (other != schema) path += ", " + QuoteIdentifier(other);
  }
  session.Execute("SET LOCAL search_path = " + path);
}

Catalog ReadCatalog(Session& session, const std::string& schema) {
  SetSearchPath(session, schema);
  const Rows rows = session.Query(sql::kCatalogItems, ToParams(schema));
  Catalog catalog;
  catalog.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) catalog.push_back(rows.As<CatalogItem>(i));
  std::sort(catalog.begin(), catalog.end(), [](const CatalogItem& a, const CatalogItem& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  return catalog;
}

std::vector<std::string> CompareCatalogs(const Catalog& expected, const Catalog& found) {
  const auto expected_by_name = ByName(expected);
  const auto found_by_name = ByName(found);
  std::vector<std::string> lines;
  for (const CatalogItem* item : Lacking(expected, found_by_name)) {
    lines.push_back(fmt::format("missing {} {}{}", item->kind, item->name, Explained(*item)));
  }
  for (const CatalogItem* item : Lacking(found, expected_by_name)) {
    lines.push_back(fmt::format("extra {} {}{}", item->kind, item->name, Explained(*item)));
  }
  for (const auto& [key, item] : expected_by_name) {
    const auto other = found_by_name.find(key);
    if (other == found_by_name.end() || other->second->definition == item->definition) continue;
    lines.push_back(fmt::format("different {} {}: expected {}, found {}", item->kind, item->name,
                                Shown(item->definition), Shown(other->second->definition)));
  }
  return lines;
}

}  // namespace gathering::db
