#include "daemon/http/server.h"

#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/guarded.h"
#include "core/base/log.h"
#include "core/config/listen.h"
#include "core/config/passed_sockets.h"
#include "core/tls/identity.h"
#include "daemon/http/connection.h"
#include "daemon/http/listener.h"
#include "daemon/loop/heartbeat.h"

namespace gathering::http {
namespace {

// Descriptors left to the database, the log and whatever else the process opens.
constexpr std::uint64_t kReservedDescriptors = 64;

std::vector<int> AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::uint64_t Descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1'024;
  return limit.rlim_cur;
}

}  // namespace

class Server::Impl {
 public:
  Impl(HttpConfig config, const Clock& clock, Callbacks callbacks, ControlSocket control)
      : control_(std::move(control)),
        on_loop_(std::move(callbacks.on_loop)),
        front_{.config = std::move(config),
               .clock = clock,
               .handler = std::move(callbacks.handler),
               .refusal = std::move(callbacks.refusal),
               .admit = std::move(callbacks.admit)} {
    front_.on_closed = [this] {
      if (front_.draining.load()) Notify();
    };
  }
  ~Impl();

  void Start(std::vector<PassedSocket> passed);
  void Show(std::shared_ptr<const tls::Identity> identity) {
    identity_.With([&](auto& shown) { shown.swap(identity); });
  }
  std::shared_ptr<const tls::Identity> Shown() const {
    return identity_.With([](const auto& shown) { return shown; });
  }
  void Heartbeat(std::chrono::microseconds every, std::function<void()> beat);
  std::vector<std::string> Addresses() const { return Addresses(Audience::kClients); }
  std::vector<std::string> Addresses(Audience audience) const;
  void Leave() { front_.leaving = true; }
  bool Drain(std::chrono::milliseconds timeout, const std::stop_token& hurry);
  ServerStats Stats() const;
  std::vector<LoopLook> Look(std::size_t most, std::chrono::milliseconds patience) const;

 private:
  void BoundConnections();
  void MakeLanes();
  void ListenOnAll(std::vector<PassedSocket> passed);
  void ListenForControl();
  template <class Where>
  void Listen(Where&& where, Audience audience, bool secure = false);
  void Accept(int descriptor, std::string peer, bool secure);
  Admission Admit(const std::string& peer);
  void CloseListeners();
  void Notify();
  [[nodiscard]] bool Empty() const { return front_.connections_open == 0 && front_.connections_refused == 0; }

  // An address of ours, and whether who connects to it must speak TLS.
  struct Door {
    std::unique_ptr<Listener> listener;
    bool secure = false;
  };

  const ControlSocket control_;
  Guarded<std::shared_ptr<const tls::Identity>> identity_;
  const std::function<void(loop::Loop&)> on_loop_;
  Front front_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Door> doors_;  // on lane 0
  Count accepted_;
  Count refused_;

  std::mutex mutex_;  // of the two below
  std::condition_variable_any changed_;
  bool listeners_closed_ = true;
};

Server::Impl::~Impl() {
  if (lanes_.empty()) return;
  CloseListeners();
  for (const auto& lane : lanes_) {
    lane->loop().Post([&lane = *lane] { lane.CloseAll(); });
  }
  for (const auto& lane : lanes_) lane->loop().Stop();
}

void Server::Impl::Start(std::vector<PassedSocket> passed) {
  BoundConnections();
  MakeLanes();
  try {
    ListenOnAll(std::move(passed));
  } catch (...) {
    doors_.clear();
    lanes_.clear();
    throw;
  }
  listeners_closed_ = false;
  for (const auto& lane : lanes_) {
    if (on_loop_) lane->loop().Post([this, &loop = lane->loop()] { on_loop_(loop); });
    lane->loop().Start();
  }
  lanes_.front()->loop().Post([this] {
    for (const Door& door : doors_) door.listener->Begin();
  });
}

void Server::Impl::ListenOnAll(std::vector<PassedSocket> passed) {
  for (PassedSocket& socket : passed) {
    Listen(std::move(socket.descriptor),
           socket.name == kPassedControlName ? Audience::kAdministrators : Audience::kClients,
           socket.name == kPassedTlsName);
  }
  if (Addresses(Audience::kClients).empty()) {
    for (const std::string& text : front_.config.listen) {
      const config::ListenAddress address = config::ParseListen(text);
      Listen(std::string{address.place}, Audience::kClients, address.secure);
    }
  } else {
    log::Info("sockets were passed; http.listen is not used");
  }
  if (Addresses(Audience::kAdministrators).empty()) ListenForControl();
}

template <class Where>
void Server::Impl::Listen(Where&& where, Audience audience, bool secure) {
  if (secure && !Shown())
    throw Error{Code::kRejected, "to listen under TLS http.tls.certificate must name a certificate"};
  doors_.push_back(
      {.listener = std::make_unique<Listener>(
           lanes_.front()->loop(), std::forward<Where>(where), audience,
           [this, secure](int descriptor, std::string peer) { Accept(descriptor, std::move(peer), secure); }),
       .secure = secure});
  doors_.back().listener->BoundUnacknowledged(front_.limits().write_timeout);
}

// Its timer is the first loop's and goes with it; what it posted to others runs before they end.
void Server::Impl::Heartbeat(std::chrono::microseconds every, std::function<void()> beat) {
  std::vector<loop::Loop*> loops;
  for (const auto& lane : lanes_) loops.push_back(&lane->loop());
  loops.front()->Post([loops, every, beat = std::move(beat)] {
    const auto heartbeat = std::make_shared<loop::Heartbeat>(loops, every, beat);
    loops.front()->AtExit([heartbeat] { static_cast<void>(heartbeat); });
  });
}

void Server::Impl::ListenForControl() {
  if (control_.path.empty()) return;
  try {
    Listen("unix:" + control_.path, Audience::kAdministrators);
  } catch (const Error& error) {
    if (control_.required) throw;
    log::Warn("there is no control socket; http.control_socket names another path, or none",
              {{"cause", error.message}});
  }
}

void Server::Impl::BoundConnections() {
  const std::uint64_t descriptors = Descriptors();
  const std::uint64_t ours = descriptors - std::min(kReservedDescriptors, descriptors / 2);
  const auto refusals = static_cast<std::uint32_t>(std::min<std::uint64_t>(kRefusedConnectionsMax, ours / 8));
  front_.refused_connections_max = refusals;
  front_.connections_max =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(front_.limits().connections_max, ours - refusals));
  if (front_.connections_max < front_.limits().connections_max) {
    log::Warn("fewer connections than configured: the limit of open files is too low",
              {{"connections_max", front_.connections_max}, {"open_files_max", descriptors}});
  }
}

void Server::Impl::MakeLanes() {
  const std::vector<int> cpus = AllowedCpus();
  const std::size_t count =
      front_.config.loops > 0 ? front_.config.loops : std::max<std::size_t>(cpus.size(), 1);
  for (std::size_t i = 0; i < count; ++i) {
    loop::LoopOptions options;
    options.name = fmt::format("loop-{}", i);
    if (count > 1 && count <= cpus.size()) options.cpu = cpus[i];
    options.fibers.stack_bytes = front_.limits().fiber_stack_bytes;
    lanes_.push_back(std::make_unique<Lane>(front_, std::move(options)));
  }
}

std::vector<std::string> Server::Impl::Addresses(Audience audience) const {
  std::vector<std::string> addresses;
  for (const Door& door : doors_) {
    if (door.listener->audience() != audience) continue;
    addresses.push_back(fmt::format("{}{}", door.secure ? config::kTlsPrefix : "", door.listener->address()));
  }
  return addresses;
}

// On lane 0.
void Server::Impl::Accept(int descriptor, std::string peer, bool secure) {
  accepted_.Add();
  const Admission admission = Admit(peer);
  if (admission == Admission::kRefused) {
    refused_.Add();
    if (front_.connections_refused.fetch_add(1) >= front_.refused_connections_max) {
      front_.connections_refused.fetch_sub(1);
      ::close(descriptor);
      return;
    }
  }
  Lane& lane = **std::min_element(lanes_.begin(), lanes_.end(), [](const auto& a, const auto& b) {
    return a->assigned.load(std::memory_order_relaxed) < b->assigned.load(std::memory_order_relaxed);
  });
  lane.assigned.fetch_add(1, std::memory_order_relaxed);
  Arrival arrival{.descriptor = descriptor, .peer = std::move(peer), .admission = admission};
  if (secure) arrival.identity = Shown();
  if (&lane == lanes_.front().get()) {
    lane.Adopt(std::move(arrival));
  } else {
    lane.loop().Post([&lane, arrival = std::move(arrival)] { lane.Adopt(arrival); });
  }
}

Admission Server::Impl::Admit(const std::string& peer) {
  if (front_.connections_open.load() >= front_.connections_max) return Admission::kRefused;
  if (HasAddress(peer)) {
    const bool fits = front_.per_address.With([&](auto& counts) {
      std::uint32_t& count = counts[peer];
      if (count >= front_.limits().connections_per_address_max) return false;
      ++count;
      return true;
    });
    if (!fits) return Admission::kRefused;
  }
  front_.connections_open.fetch_add(1);
  return Admission::kServed;
}

void Server::Impl::CloseListeners() {
  lanes_.front()->loop().Post([this] {
    for (const Door& door : doors_) {
      door.listener->AcceptAll();
      door.listener->Close();
    }
    {
      std::scoped_lock lock{mutex_};
      listeners_closed_ = true;
    }
    changed_.notify_all();
  });
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [this] { return listeners_closed_; });
}

void Server::Impl::Notify() {
  // The lock makes sure that who waits either sees the new count or hears this.
  { std::scoped_lock lock{mutex_}; }
  changed_.notify_all();
}

bool Server::Impl::Drain(std::chrono::milliseconds timeout, const std::stop_token& hurry) {
  if (lanes_.empty()) return true;
  Leave();
  front_.draining = true;
  CloseListeners();
  for (const auto& lane : lanes_) {
    lane->loop().Post([&lane = *lane] { lane.Drain(); });
  }
  {
    std::unique_lock lock{mutex_};
    if (changed_.wait_for(lock, hurry, timeout, [this] { return Empty(); })) return true;
  }
  for (const auto& lane : lanes_) {
    lane->loop().Post([&lane = *lane] { lane.CloseAll(); });
  }
  return false;
}

ServerStats Server::Impl::Stats() const {
  ServerStats stats;
  stats.connections_accepted = accepted_.Get();
  stats.connections_refused = refused_.Get();
  stats.connections_open = front_.connections_open.load(std::memory_order_relaxed);
  stats.connections_max = front_.connections_max;
  stats.requests_in_progress = front_.requests_in_progress.load(std::memory_order_relaxed);
  if (const auto identity = Shown()) stats.certificate_not_after = identity->certificate().not_after;
  for (const auto& lane : lanes_) {
    stats.requests += lane->counts.requests.Get();
    stats.requests_refused_busy += lane->counts.requests_refused_busy.Get();
    stats.handler_failures += lane->counts.handler_failures.Get();
    stats.refused_by_gate += lane->counts.refused_by_gate.Get();
    stats.timeouts += lane->counts.timeouts.Get();
    stats.handshakes += lane->counts.handshakes.done.Get();
    stats.handshakes_failed += lane->counts.handshakes.failed.Get();
    stats.loop_stalls += lane->loop().stalls();
  }
  return stats;
}

// A loop that answers too late still finds what it writes to.
std::vector<LoopLook> Server::Impl::Look(std::size_t most, std::chrono::milliseconds patience) const {
  struct Answers {
    std::mutex mutex;  // guards what follows
    std::condition_variable changed;
    std::vector<LoopLook> looks;
    std::size_t missing = 0;
  };
  const auto answers = std::make_shared<Answers>();
  answers->looks.resize(lanes_.size());
  answers->missing = lanes_.size();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lanes_[i]->loop().Post([answers, i, most, &clock = front_.clock] {
      LoopLook look{.turns = true, .oldest = InProgress::Oldest(most, clock.Now())};
      std::scoped_lock lock{answers->mutex};
      answers->looks[i] = std::move(look);
      --answers->missing;
      answers->changed.notify_one();
    });
  }
  std::unique_lock lock{answers->mutex};
  answers->changed.wait_for(lock, patience, [&] { return answers->missing == 0; });
  return answers->looks;
}

Server::Server(HttpConfig config, const Clock& clock, Callbacks callbacks, ControlSocket control)
    : impl_(std::make_unique<Impl>(std::move(config), clock, std::move(callbacks), std::move(control))) {}

Server::~Server() = default;

void Server::Start(std::vector<PassedSocket> passed) {
  impl_->Start(std::move(passed));
}

void Server::Show(std::shared_ptr<const tls::Identity> identity) {
  impl_->Show(std::move(identity));
}

void Server::Heartbeat(std::chrono::microseconds every, std::function<void()> beat) {
  impl_->Heartbeat(every, std::move(beat));
}

std::vector<std::string> Server::Addresses() const {
  return impl_->Addresses();
}

std::string Server::ControlAddress() const {
  const std::vector<std::string> addresses = impl_->Addresses(Audience::kAdministrators);
  return addresses.empty() ? std::string{} : addresses.front();
}

void Server::Leave() {
  impl_->Leave();
}

bool Server::Drain(std::chrono::milliseconds timeout, const std::stop_token& hurry) {
  return impl_->Drain(timeout, hurry);
}

ServerStats Server::Stats() const {
  return impl_->Stats();
}

std::vector<LoopLook> Server::Look(std::size_t most, std::chrono::milliseconds patience) const {
  return impl_->Look(most, patience);
}

}  // namespace gathering::http
