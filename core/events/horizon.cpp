#include "core/events/horizon.h"

namespace gathering::events {

void Horizon::Note(const LogView& view) {
  if (view.id_after) {
    if (marks_.size() == kMarksMax) marks_.pop_back();
    marks_.push_back({.id_after = *view.id_after, .newest = view.newest});
    marked_ = view.newest;
  }
  while (!marks_.empty() && marks_.front().id_after < view.oldest_running) {
    settled_ = marks_.front().newest;
    marks_.pop_front();
  }
}

}  // namespace gathering::events
