#include "cmd/interrupt.h"

#include <signal.h>

#include <initializer_list>

namespace gathering::cmd {
namespace {

void OnSignal(int signal) {
  if (!stop_asked.exchange(true)) return;
  cancel_asked = true;
  ::signal(signal, SIG_DFL);
}

}  // namespace

void WatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = &OnSignal;  // without SA_RESTART: a signal ends every wait
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

}  // namespace gathering::cmd
