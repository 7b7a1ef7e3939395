#include "daemon/db/pipeline_lane.h"

#include <sys/epoll.h>

#include <utility>

#include "core/base/log.h"

namespace gathering {

// A fiber that sleeps until its statement is answered or its deadline passed.
class PipelineLane::Waiting final : public db::Pending, private loop::Timer {
 public:
  Waiting(PipelineLane& lane, const db::Query& query, const db::Params& params)
      : Pending(query, params),
        Timer(lane.loop_.timers()),
        query_name_(query.name),
        lane_(lane),
        fiber_(lane.loop_.fibers().current()) {}

  void Sleep(Clock::Steady deadline) {
    lane_.pipeline_.Submit(*this);
    SetDeadline(deadline);
    lane_.loop_.fibers().Suspend({.what = "pipelined statement", .name = query_name_});
  }

 private:
  void OnAnswered() override {
    ClearDeadline();
    lane_.loop_.fibers().Resume(*fiber_);
  }
  void OnDeadline() override {
    outcome = Outcome::kError;
    error = lane_.pipeline_.GiveUp(*this)
                ? Error{Code::kInDoubt, "it is not known whether the change was made",
                        "the deadline passed before the database answered"}
                : Error{Code::kTimeout, "the request took too long",
                        "the deadline passed before the database answered"};
    lane_.loop_.fibers().Resume(*fiber_);
  }

  const std::string_view query_name_;
  PipelineLane& lane_;
  loop::Fiber* const fiber_;
};

PipelineLane::PipelineLane(db::PipelineOptions options, const Parts& parts)
    : Timer(parts.loop.timers()),
      traffic_(options.traffic),
      loop_(parts.loop),
      connector_(parts.connector),
      cancel_(parts.cancel),
      pipeline_(options, *this, parts.statistics, parts.loop.clock()),
      door_(std::make_shared<Guarded<PipelineLane*>>(this)) {
  pipeline_.WarmUp();
}

PipelineLane::~PipelineLane() {
  door_->With([](PipelineLane*& lane) { lane = nullptr; });
}

std::optional<db::Rows> PipelineLane::Execute(const db::Query& query, const db::Params& params,
                                              Clock::Steady deadline, db::Costs* costs) {
  if (pipeline_.Avoids(query)) return std::nullopt;
  Waiting waiting{*this, query, params};
  waiting.Sleep(deadline);
  if (costs != nullptr) {
    costs->AddWait(waiting.took.wait);
    costs->AddBusy(waiting.took.run);
    costs->Note(query, waiting.took.run);
  }
  switch (waiting.outcome) {
    case db::Pending::Outcome::kRows:
      return std::move(waiting.rows);
    case db::Pending::Outcome::kError:
      throw *std::move(waiting.error);
    case db::Pending::Outcome::kMoved:
      break;
  }
  return std::nullopt;
}

void PipelineLane::ConnectWanted() {
  connector_.Connect(traffic_, [door = door_](Connector::Outcome outcome) {
    auto shared = std::make_shared<Connector::Outcome>(std::move(outcome));
    door->With([&](PipelineLane*& lane) {
      if (lane == nullptr) return;
      // The lane may go while this is on its way.
      lane->loop_.Post([door, shared] {
        PipelineLane* const here = door->With([](PipelineLane*& still) { return still; });
        if (here == nullptr) return;
        if (auto* link = std::get_if<std::unique_ptr<db::PipelineLink>>(shared.get())) {
          here->pipeline_.Attach(std::move(*link));
        } else {
          here->pipeline_.ConnectFailed(std::get<Error>(*shared));
        }
      });
    });
  });
}

void PipelineLane::Watch(int descriptor, bool output) {
  const std::uint32_t events = output ? EPOLLIN | EPOLLOUT : EPOLLIN;
  // Statements then run into their deadlines, and the next check cuts the connection.
  if (!loop_.Watch(descriptor, events, *this))
    log::Error("the event loop cannot watch a database connection", {{"descriptor", descriptor}});
}

void PipelineLane::FlushWanted() {
  loop_.AtTurnEnd(*this);
}

void PipelineLane::OnEvents(std::uint32_t /*events*/) {
  pipeline_.OnReady();
}

void PipelineLane::OnTurnEnd() {
  pipeline_.Flush();
  if (!pipeline_.busy() || std::exchange(checking_, true)) return;
  SetDeadline(loop_.now() + db::Pipeline::kCheckInterval);
}

void PipelineLane::OnDeadline() {
  pipeline_.Check();
  checking_ = pipeline_.busy();
  if (checking_) SetDeadline(loop_.now() + db::Pipeline::kCheckInterval);
}

}  // namespace gathering
