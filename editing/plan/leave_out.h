#pragma once

#include "editing/plan/knowledge.h"

#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace errata::editing {

/// Edits that a run shall not make, and what follows from that.
///
/// The slot of such an edit stays as it was at the first day, and so does the relation that holds
/// the same facts the other way round. Facts of its own that a new value brought along (an office
/// holder's title) are other edits.
class LeftOut {
 public:
  LeftOut() = default;
  /// `edits` is the whole difference; ids that are not in it leave nothing out.
  LeftOut(
      const Knowledge& knowledge,
      const std::vector<datasets::Edit>& edits,
      const std::set<std::string>& ids);

  bool empty() const noexcept { return slots_.empty(); }
  /// Without the edits, of these days or of others between them, that write into such a slot.
  std::vector<datasets::Edit> rest(std::vector<datasets::Edit> edits) const;
  /// Takes out of `knowledge` what began after `from` in these slots; what held then has no end.
  void hold_still(Knowledge& knowledge, const Date& from) const;

 private:
  /// Subject, relation and object; an empty one stands for all.
  using Slot = std::tuple<std::string, std::string, std::string>;

  bool concerns(const datasets::Edit& edit) const;
  bool holds(
      const std::string& subject, const std::string& relation, const std::string& object) const;

  std::set<Slot> slots_;
};

} // namespace errata::editing
