#include "core/prompt_queue.h"

#include <algorithm>
#include <map>
#include <utility>

namespace errata {

PromptQueue::PromptQueue(
    const std::vector<Tokens>& prompts, const std::vector<std::int64_t>& routes, bool merge_equal)
    : prompts_(prompts) {
  std::map<std::pair<std::int64_t, Tokens>, std::size_t> seen;
  bool one_route = true;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::int64_t route = routes.empty() ? 0 : routes[i];
    one_route = one_route && (routes.empty() || route == routes.front());
    const std::size_t first =
        merge_equal ? seen.emplace(std::pair(route, prompts[i]), i).first->second : i;
    runs_for_.push_back(first);
    if (first == i) {
      waiting_.push_back(i);
    }
  }
  distinct_ = static_cast<std::int64_t>(waiting_.size());
  shared_ = one_route ? shared_length() : 0;
  std::stable_sort(waiting_.begin(), waiting_.end(), [&](std::size_t a, std::size_t b) {
    return prompts[a].size() < prompts[b].size();
  });
}

std::int64_t PromptQueue::shared_length() const {
  if (waiting_.size() < 2) {
    return 0;
  }
  const Tokens& first = prompts_[waiting_.front()];
  std::size_t length = first.size() - 1;
  for (const std::size_t index : waiting_) {
    const Tokens& prompt = prompts_[index];
    length = std::min(length, prompt.size() - 1);
    const auto stop = first.begin() + static_cast<std::ptrdiff_t>(length);
    length = static_cast<std::size_t>(
        std::mismatch(first.begin(), stop, prompt.begin()).first - first.begin());
  }
  return static_cast<std::int64_t>(length);
}

std::vector<std::size_t> PromptQueue::take(
    std::int64_t rows, std::int64_t tokens, bool any_lengths) {
  std::vector<std::size_t> taken;
  std::int64_t sum = 0;
  while (!empty() && std::ssize(taken) < rows) {
    const std::size_t length = prompts_[next()].size();
    sum += static_cast<std::int64_t>(length) - shared_;
    if (!taken.empty() &&
        (sum > tokens || (!any_lengths && length != prompts_[taken.front()].size()))) {
      break;
    }
    taken.push_back(next());
    waiting_.pop_back();
  }
  return taken;
}

} // namespace errata
