#include "daemon/loop/fibers.h"

#include <cxxabi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cassert>
#include <exception>
#include <memory>
#include <new>
#include <utility>

#include <boost/context/detail/fcontext.hpp>

#include "core/base/log.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GATHERING_ASAN 1
#elif __has_feature(thread_sanitizer)
#define GATHERING_TSAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define GATHERING_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define GATHERING_TSAN 1
#endif
#ifdef GATHERING_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef GATHERING_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace gathering::loop {
namespace {

namespace context = boost::context::detail;

#if defined(GATHERING_ASAN) || defined(GATHERING_TSAN)
constexpr std::size_t kStackFactor = 4;  // their frames are that much larger
#else
constexpr std::size_t kStackFactor = 1;
#endif

// The exceptions being handled, which the C++ runtime keeps for each thread and we need for each fiber.
struct ExceptionState {
  void* caught = nullptr;
  unsigned int uncaught = 0;
};

void Swap(ExceptionState& mine) {
  auto* const theirs = reinterpret_cast<ExceptionState*>(abi::__cxa_get_globals());
  std::swap(*theirs, mine);
}

class Stack {
 public:
  static Stack Make(std::size_t bytes) {
    const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    bytes = (bytes * kStackFactor + page - 1) / page * page;
    void* const memory = ::mmap(nullptr, bytes + page, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return {};
    Stack stack;
    stack.memory_ = memory;
    stack.mapped_ = bytes + page;
    stack.bytes_ = bytes;
    stack.bottom_ = static_cast<char*>(memory) + page;
    if (::mprotect(stack.bottom_, bytes, PROT_READ | PROT_WRITE) != 0) return {};
    return stack;
  }

  Stack() = default;
  Stack(Stack&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)),
        bottom_(other.bottom_),
        mapped_(other.mapped_),
        bytes_(other.bytes_) {}
  Stack& operator=(Stack&&) = delete;
  ~Stack() {
    if (memory_ != nullptr) ::munmap(memory_, mapped_);
  }

  explicit operator bool() const { return memory_ != nullptr; }
  [[nodiscard]] char* bottom() const { return bottom_; }
  [[nodiscard]] char* top() const { return bottom_ + bytes_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void* memory_ = nullptr;
  char* bottom_ = nullptr;
  std::size_t mapped_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

class Fiber {
 public:
  Fiber(Fibers& owner, Stack stack) : owner_(owner), stack_(std::move(stack)) {
    context_ = context::make_fcontext(stack_.top(), stack_.bytes(), &Fiber::Main);
#ifdef GATHERING_TSAN
    tsan_ = __tsan_create_fiber(0);
#endif
  }
  ~Fiber() {
#ifdef GATHERING_TSAN
    __tsan_destroy_fiber(tsan_);
#endif
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From the loop's stack onto the fiber's, until it comes back.
  void Enter() {
    Swap(exceptions_);
#ifdef GATHERING_ASAN
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(&fake_stack, stack_.bottom(), stack_.bytes());
#endif
#ifdef GATHERING_TSAN
    loop_tsan_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(tsan_, 0);
#endif
    context_ = context::jump_fcontext(context_, this).fctx;
#ifdef GATHERING_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
    Swap(exceptions_);
  }

  // From the fiber's stack back to the loop's.  With `for_good` it never returns.
  enum class Return : bool { kLater, kNever };
  void Leave(Return plan) {
#ifdef GATHERING_ASAN
    __sanitizer_start_switch_fiber(plan == Return::kNever ? nullptr : &fake_stack_, loop_bottom_,
                                   loop_bytes_);
#endif
#ifdef GATHERING_TSAN
    __tsan_switch_to_fiber(loop_tsan_, 0);
#endif
    static_cast<void>(plan);
    loop_context_ = context::jump_fcontext(loop_context_, nullptr).fctx;
    Arrived(fake_stack_);
  }

  FiberJob* job = nullptr;  // null tells a parked fiber to end
  Wait wait;                // of its last sleep

 private:
  static void Main(context::transfer_t from) {
    Fiber& self = *static_cast<Fiber*>(from.data);
    self.loop_context_ = from.fctx;
    self.Arrived(nullptr);
    while (self.job != nullptr) {
      self.job->OnFiber();
      self.owner_.Leave(self);
    }
    self.Leave(Return::kNever);
  }

  void Arrived([[maybe_unused]] void* fake_stack) {
#ifdef GATHERING_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, &loop_bottom_, &loop_bytes_);
#endif
  }

  Fibers& owner_;
  Stack stack_;
  context::fcontext_t context_ = nullptr;
  context::fcontext_t loop_context_ = nullptr;
  ExceptionState exceptions_;
  void* fake_stack_ = nullptr;
#ifdef GATHERING_ASAN
  const void* loop_bottom_ = nullptr;
  std::size_t loop_bytes_ = 0;
#endif
#ifdef GATHERING_TSAN
  void* tsan_ = nullptr;
  void* loop_tsan_ = nullptr;
#endif

  friend class Fibers;
  const log::Context* writes_for_ = nullptr;  // while it does not run
  bool ended_ = false;                        // its job returned
};

std::string ToText(const Wait& wait) {
  std::string text{wait.what};
  if (!wait.name.empty()) text.append(" ").append(wait.name);
  if (wait.at == nullptr) return text;
  const std::string_view* const at = wait.at->load(std::memory_order_relaxed);
  return at == nullptr ? text + ", not begun" : text.append(" ").append(*at);
}

Fibers::~Fibers() {
  assert(active_ == 0);
  for (Fiber* fiber : parked_) Discard(fiber);
}

bool Fibers::Start(FiberJob& job) {
  assert(current_ == nullptr);
  Fiber* fiber = nullptr;
  if (!parked_.empty()) {
    fiber = parked_.back();
    parked_.pop_back();
  } else {
    Stack stack = Stack::Make(options_.stack_bytes);
    if (!stack) return false;
    fiber = new (std::nothrow) Fiber{*this, std::move(stack)};
    if (fiber == nullptr) return false;
  }
  fiber->job = &job;
  ++active_;
  Run(*fiber);
  return true;
}

void Fibers::Resume(Fiber& fiber) {
  assert(current_ == nullptr);
  Run(fiber);
}

void Fibers::Run(Fiber& fiber) {
  current_ = &fiber;
  {
    const log::Scope scope{fiber.writes_for_};
    fiber.Enter();
    fiber.writes_for_ = log::Current();
  }
  current_ = nullptr;
  after_slice_(*fiber.job);
  if (!std::exchange(fiber.ended_, false)) return;
  --active_;
  FiberJob* const job = std::exchange(fiber.job, nullptr);
  if (parked_.size() < options_.parked_max) {
    parked_.push_back(&fiber);
  } else {
    Discard(&fiber);
  }
  job->OnFiberDone();
}

void Fibers::Suspend(const Wait& wait) {
  assert(current_ != nullptr);
  current_->wait = wait;
  current_->Leave(Fiber::Return::kLater);
}

const Wait& Fibers::WaitOf(const Fiber& fiber) {
  return fiber.wait;
}

void Fibers::Leave(Fiber& fiber) {
  fiber.ended_ = true;
  fiber.Leave(Fiber::Return::kLater);
}

void Fibers::Discard(Fiber* fiber) {
  const std::unique_ptr<Fiber> owned{fiber};
  fiber->job = nullptr;
  fiber->Enter();  // it sees that there is no job, and leaves for good
}

}  // namespace gathering::loop
