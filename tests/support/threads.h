#pragma once

#include "core/torch.h"

namespace errata::testing_support {

/// LibTorch's threads for a scope.
class ThreadsScope {
 public:
  explicit ThreadsScope(int threads) { at::set_num_threads(threads); }
  ~ThreadsScope() { at::set_num_threads(before_); }
  ThreadsScope(const ThreadsScope&) = delete;
  ThreadsScope& operator=(const ThreadsScope&) = delete;

 private:
  int before_ = at::get_num_threads();
};

} // namespace errata::testing_support
