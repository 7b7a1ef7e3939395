#include "daemon/loop/loop.h"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"

namespace gathering::loop {
namespace {

using std::chrono::milliseconds;

constexpr int kEventsPerTurn = 256;

thread_local Loop* current_loop = nullptr;

class PostedTask final : public Posted {
 public:
  explicit PostedTask(std::function<void()> task) : task_(std::move(task)) {}
  void OnLoop() override {
    const std::unique_ptr<PostedTask> self{this};
    task_();
  }

 private:
  const std::function<void()> task_;
};

int MakeEpoll() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0)
    throw Unavailable("no descriptor for an event loop", std::chrono::seconds{1}, std::strerror(errno));
  return epoll;
}

}  // namespace

Loop::Loop(const Clock& clock, LoopOptions options)
    : clock_(clock),
      options_(std::move(options)),
      epoll_(MakeEpoll()),
      inbox_(std::make_shared<Inbox>()),
      now_(clock.Now()),
      fibers_(options_.fibers, [this](const FiberJob& job) { NoteSlice(job); }) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, inbox_->event_descriptor(), &event) != 0) {
    const int error = errno;
    ::close(epoll_);
    throw Unavailable("the event loop cannot be set up", std::chrono::seconds{1}, std::strerror(error));
  }
}

Loop::~Loop() {
  Stop();
  ::close(epoll_);
}

Loop* Loop::Current() {
  return current_loop;
}

void Loop::Start() {
  thread_ = std::jthread{[this] { Run(); }};
}

void Loop::Stop() {
  if (!thread_.joinable()) return;
  Post([this] { stopping_ = true; });
  thread_.join();
}

void Loop::Post(std::function<void()> task) {
  inbox_->Push(*new PostedTask{std::move(task)});
}

bool Loop::Watch(int descriptor, std::uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0) return true;
  return errno == EEXIST && ::epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event) == 0;
}

void Loop::AtTurnEnd(TurnEnd& what) {
  if (!std::exchange(what.listed_, true)) turn_end_.push_back(&what);
}

void Loop::Unwatch(int descriptor) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
}

void Loop::Again(Watcher& watcher) {
  if (std::exchange(watcher.again_, true)) return;
  again_.push_back(&watcher);
}

void Loop::Retire(std::unique_ptr<Watcher> watcher) {
  if (watcher->again_) {
    Watcher* const nobody = nullptr;
    std::replace(again_.begin(), again_.end(), watcher.get(), nobody);
    std::replace(again_now_.begin(), again_now_.end(), watcher.get(), nobody);
  }
  retired_.push_back(std::move(watcher));
}

void Loop::Run() {
  current_loop = this;
  pthread_setname_np(pthread_self(), options_.name.substr(0, 15).c_str());
  if (options_.cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<std::size_t>(*options_.cpu), &cpus);
    // Only a preference: without it the kernel moves the thread about.
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
  }
  while (!stopping_ || fibers_.active() > 0) Turn();
  for (const auto& last : at_exit_) last();
  inbox_->RunAll();
  again_.clear();
  retired_.clear();
  current_loop = nullptr;
}

void Loop::Turn() {
  epoll_event events[kEventsPerTurn];
  const int patience = again_.empty() && turn_end_.empty() && inbox_->FallAsleep() ? Patience() : 0;
  const int count = ::epoll_wait(epoll_, events, kEventsPerTurn, patience);
  inbox_->WakeUp();
  now_ = clock_.Now();

  again_now_.swap(again_);  // what asks for another turn from here on gets the next one
  for (int i = 0; i < count; ++i) {
    auto* const watcher = static_cast<Watcher*>(events[i].data.ptr);
    if (watcher != nullptr) watcher->OnEvents(events[i].events);
  }
  inbox_->RunAll();
  timers_.RunDue(now_);
  for (std::size_t i = 0; i < again_now_.size(); ++i) {
    Watcher* const watcher = std::exchange(again_now_[i], nullptr);
    if (watcher == nullptr) continue;
    watcher->again_ = false;
    watcher->OnEvents(0);
  }
  again_now_.clear();
  turn_end_now_.swap(turn_end_);
  for (TurnEnd* what : turn_end_now_) {
    what->listed_ = false;
    what->OnTurnEnd();
  }
  turn_end_now_.clear();
  retired_.clear();
}

int Loop::Patience() const {
  const auto next = timers_.Next();
  if (!next) return -1;
  const auto wait = std::chrono::ceil<milliseconds>(*next - clock_.Now());
  return static_cast<int>(std::clamp<milliseconds::rep>(wait.count(), 0, 60'000));
}

void Loop::NoteSlice(const FiberJob& job) {
  const Clock::Steady before = std::exchange(now_, clock_.Now());
  if (now_ - before <= kStall) return;
  stalls_.fetch_add(1, std::memory_order_relaxed);
#ifdef NDEBUG
  static_cast<void>(job);
#else
  log::Warn("a request held its event loop",
            {{"path", job.Label()}, {"ms", std::chrono::duration_cast<milliseconds>(now_ - before).count()}});
#endif
}

}  // namespace gathering::loop
