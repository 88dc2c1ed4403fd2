// From the user's dial to the width of every channel group.
#ifndef INN_PLAN_H_
#define INN_PLAN_H_

#include <string>

#include "manifest.h"

namespace inn {

// The widths that a requested size resolves to.
struct Plan {
  double size;       // that will be built
  double requested;  // larger than `size` where the next calibrated size below is used
  std::string preset;  // its name, or "" if the request is none
  Widths widths;
  const Size *calibrated;  // the bundle's data for this size, null where the quadrature rule alone applies
};

// Resolve a preset's name or a number in (0, 1], or up to 1.5 where the bundle's axes are all interpolated.
// The plan refers to the manifest. Throws UsageError: neither of these, or outside the bundle's range.
Plan MakePlan(const Manifest &manifest, const std::string &size);
Plan MakePlan(const Manifest &manifest, double size);

}  // namespace inn

#endif  // INN_PLAN_H_
