#include "daemon/http/in_progress.h"

#include <algorithm>

#include "daemon/http/call.h"
#include "daemon/http/route.h"
#include "daemon/loop/loop.h"

namespace gathering::http {
namespace {

const loop::Fiber* CurrentFiber() {
  loop::Loop* const loop = loop::Loop::Current();
  return loop == nullptr ? nullptr : loop->fibers().current();
}

}  // namespace

thread_local InProgress* InProgress::first_ = nullptr;

InProgress::InProgress(const Call& call, Clock::Steady since)
    : call_(call), since_(since), fiber_(CurrentFiber()), next_(first_) {
  if (next_ != nullptr) next_->previous_ = this;
  first_ = this;
}

InProgress::~InProgress() {
  (previous_ == nullptr ? first_ : previous_->next_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

std::vector<RequestInProgress> InProgress::Oldest(std::size_t most, Clock::Steady now) {
  std::vector<const InProgress*> all;
  for (const InProgress* one = first_; one != nullptr; one = one->next_) all.push_back(one);
  std::ranges::sort(all, {}, &InProgress::since_);
  if (all.size() > most) all.resize(most);
  std::vector<RequestInProgress> oldest;
  for (const InProgress* const one : all) oldest.push_back(one->Describe(now));
  return oldest;
}

RequestInProgress InProgress::Describe(Clock::Steady now) const {
  return {.method = std::string{Name(call_.request().method)},
          .route = call_.has_route() ? std::string{call_.route().id} : "-",
          .request_id = std::string{call_.request_id()},
          .client = call_.standing().client,
          .age = now - since_,
          .waits_for = fiber_ == nullptr ? std::string{} : loop::ToText(loop::Fibers::WaitOf(*fiber_))};
}

}  // namespace gathering::http
