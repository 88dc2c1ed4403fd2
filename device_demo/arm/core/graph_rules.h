// Whether a bundle's graph is one that the engine can be trusted with: every node's attributes and shapes.
#ifndef INN_GRAPH_RULES_H_
#define INN_GRAPH_RULES_H_

#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "manifest.h"
#include "primitives.h"

namespace inn {

class GraphRules {
 public:
  // `manifest` must live as long. Throws BundleError where a node breaks a rule that does not depend on widths.
  // Primitives of `allowed` are let through though there is no rule for them.
  GraphRules(const Manifest &manifest, std::string source, const std::set<int64_t> &allowed);

  // Checks the full size, and the others that the manifest lists as far as that is quick.
  void CheckSizes() const;
  // Checks every node's attributes and shapes at these widths, for so many images at a time. Throws BundleError.
  void Check(const Widths &widths, int64_t batch = 1) const;

 private:
  const Manifest &manifest_;
  std::string source_;
  std::vector<const PrimitiveRule *> rules_;  // of each node; null where it has none
  mutable std::mutex mutex_;
  mutable std::set<std::pair<Widths, int64_t>> good_;

  using Shapes = std::vector<std::optional<WideShape>>;
  Shapes GivenShapes(const Widths &widths, int64_t batch) const;
  Shapes ShapesAfter(size_t index, const Shapes &shapes, const Widths &widths, int64_t batch) const;
};

}  // namespace inn

#endif  // INN_GRAPH_RULES_H_
