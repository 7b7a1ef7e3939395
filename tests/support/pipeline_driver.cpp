#include "tests/support/pipeline_driver.h"

#include <poll.h>

#include <stdexcept>
#include <utility>

#include "core/db/queries.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;

constexpr int kPollMs = 5;
constexpr auto kPatience = 10s;

}  // namespace

PipelineDriver::PipelineDriver(std::string url, db::PipelineOptions options)
    : url_(std::move(url)),
      options_(options),
      side_({.url = url_}),
      pipeline_(options, *this, statistics_, clock_) {}

PipelineDriver::~PipelineDriver() {
  for (const auto& statement : statements_) {
    if (!statement->answered) static_cast<void>(pipeline_.GiveUp(*statement));
  }
}

PipelineDriver::Statement& PipelineDriver::Send(const db::Query& query, db::Params params) {
  auto statement = std::make_unique<Statement>(query, std::move(params));
  pipeline_.Submit(*statement);
  statements_.push_back(std::move(statement));
  return *statements_.back();
}

void PipelineDriver::Until(const std::function<bool()>& done) {
  const auto give_up_at = clock_.Now() + kPatience;
  while (!done()) {
    if (clock_.Now() > give_up_at) throw std::runtime_error{"the pipeline did not get there in time"};
    Turn();
  }
}

void PipelineDriver::UntilAnswered() {
  Until([this] {
    for (const auto& statement : statements_) {
      if (!statement->answered) return false;
    }
    return true;
  });
}

void PipelineDriver::UntilConnected() {
  pipeline_.WarmUp();
  Until([this] { return stats().connected; });
}

void PipelineDriver::Turn() {
  if (std::exchange(connect_wanted_, false)) Connect();
  if (std::exchange(flush_wanted_, false)) pipeline_.Flush();
  pollfd watched{.fd = descriptor_, .events = POLLIN, .revents = 0};
  if (output_) watched.events |= POLLOUT;
  if (poll(&watched, descriptor_ < 0 ? 0 : 1, kPollMs) > 0) pipeline_.OnReady();
  pipeline_.Check();
}

void PipelineDriver::Connect() {
  if (connect_error_) {
    away_ = connect_error_;
    pipeline_.ConnectFailed(*connect_error_);
    return;
  }
  away_.reset();
  try {
    auto link = std::make_unique<db::PipelineLink>(
        db::ConnectionOptions{.url = url_, .statement_timeout = options_.statement_timeout},
        options_.traffic);
    backend_pid_ = link->backend_pid();
    pipeline_.Attach(std::move(link));
  } catch (const Error& error) {
    pipeline_.ConnectFailed(error);
  }
}

void PipelineDriver::Watch(int descriptor, bool output) {
  descriptor_ = descriptor;
  output_ = output;
}

void PipelineDriver::Cancel(int backend, std::chrono::milliseconds at_least) {
  const double seconds = std::chrono::duration<double>(at_least).count();
  side_.Execute(sql::kBackendCancel, db::ToParams(std::int64_t{backend}, seconds));
}

}  // namespace gathering::test
