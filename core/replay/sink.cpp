#include "core/replay/sink.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/db/params.h"
#include "core/db/queries.h"
#include "core/events/log.h"
#include "core/replay/files.h"
#include "core/schema/writer.h"

namespace gathering::replay {
namespace {

namespace fs = std::filesystem;

// An array with holes, which a list of numbers has none of.
void Append(std::string& array, const std::optional<std::int64_t>& id) {
  if (!array.empty()) array += ',';
  array += id ? fmt::format("{}", *id) : "NULL";
}

// The event is at fault, not the database: a value out of its range, or a broken rule.
bool BlamesEvent(const db::SqlError& error) {
  return error.sqlstate.starts_with("22") || error.sqlstate.starts_with("23");
}

}  // namespace

// --- the running system ----------------------------------------------------------------------------

Delivery SystemSink::Deliver(std::span<Item> items) {
  Delivery delivery;
  try {
    delivery.delivered = Insert(items);
    delivery.deduplicated = static_cast<std::int64_t>(items.size()) - delivery.delivered;
  } catch (const db::SqlError& error) {
    if (!BlamesEvent(error)) throw;
    if (items.size() == 1) return {.failed = {{items.front().number, error.text}}};
    for (std::size_t i = 0; i < items.size(); ++i) {
      Delivery one = Deliver(items.subspan(i, 1));
      delivery.delivered += one.delivered;
      delivery.deduplicated += one.deduplicated;
      for (Complaint& complaint : one.failed) delivery.failed.push_back(std::move(complaint));
    }
    return delivery;
  }
  if (delivery.delivered > 0) session_.Execute(events::kAnnounce);
  return delivery;
}

std::int64_t SystemSink::Insert(std::span<const Item> items) {
  std::vector<std::string> ids;
  std::vector<std::string> types;
  std::vector<std::string> data;
  std::vector<std::string> times;
  std::string agents;
  std::string circles;
  std::string projects;
  for (const Item& item : items) {
    ids.push_back(ToText(item.record.event_id));
    types.push_back(item.record.type);
    data.push_back(item.record.data.text);
    times.push_back(ToText(item.record.timestamp));
    Append(agents, item.record.source_agent_id);
    Append(circles, item.record.circle_id);
    Append(projects, item.record.project_id);
  }
  const auto array = [](const std::string& elements) { return "{" + elements + "}"; };
  return session_
      .Query(sql::kReplayInsert,
             db::ToParams(ids, types, data, array(agents), array(circles), array(projects), times))
      .As<std::int64_t>(0);
}

// --- a file ----------------------------------------------------------------------------------------

FileSink::FileSink(std::string file, Keep keep, std::optional<std::int64_t> written)
    : file_(fs::weakly_canonical(std::move(file)).string()), keep_(keep) {
  if (fs::is_directory(file_))
    throw Error{Code::kRejected, fmt::format("{} is a directory; name a file in it", file_)};
  if (fs::exists(file_) && !fs::is_regular_file(file_)) {
    own_ = Fd{::open(file_.c_str(), O_WRONLY | O_CLOEXEC)};
  } else {
    OpenPart(written);
  }
  if (!own_.valid()) ThrowFileError("write", file_);
  fd_ = own_.get();
}

FileSink::FileSink(int fd, std::string name) : file_(std::move(name)), fd_(fd) {}

FileSink::~FileSink() {
  if (own_.valid() && !part_.empty() && keep_ == Keep::kNothing) ::unlink(part_.c_str());
}

void FileSink::OpenPart(std::optional<std::int64_t> written) {
  part_ = file_ + ".partial";
  if (written && !fs::exists(part_) && fs::exists(file_)) fs::copy_file(file_, part_);
  Fd fd{::open(part_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)};
  if (!fd.valid()) return;
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error{Code::kRejected, fmt::format("another replay writes {}; name another file", file_)};
  written_ = written.value_or(0);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || status.st_size < written_) {
    throw Error{
        Code::kRejected,
        fmt::format("{} holds less than was written; remove the resume file to begin at the beginning",
                    part_)};
  }
  if (::ftruncate(fd.get(), written_) != 0 || ::lseek(fd.get(), 0, SEEK_END) < 0) return;
  own_ = std::move(fd);
}

Delivery FileSink::Deliver(std::span<Item> items) {
  std::string text;
  for (const Item& item : items) {
    schema::WriteJson(item.record, text);
    text += '\n';
  }
  if (!WriteAll(fd_, file_, text)) return {.closed = true};
  if (!part_.empty() && keep_ == Keep::kPart && ::fdatasync(fd_) != 0) ThrowFileError("write", file_);
  written_ += static_cast<std::int64_t>(text.size());
  return {.delivered = static_cast<std::int64_t>(items.size())};
}

void FileSink::Note(Position& position) const {
  if (!part_.empty()) position.written = written_;
}

void FileSink::Finish() {
  if (part_.empty()) return;
  if (::fdatasync(fd_) != 0 || ::rename(part_.c_str(), file_.c_str()) != 0) ThrowFileError("write", file_);
  own_.Reset();
}

}  // namespace gathering::replay
