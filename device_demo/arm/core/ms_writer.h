// Packing a lowered graph as a MindSpore Lite model (.ms), one FlatBuffer, without a converter. The field
// numbers are those of MindSpore Lite's public schema; nothing here knows an operator.
#ifndef INN_MS_WRITER_H_
#define INN_MS_WRITER_H_

#include <flatbuffers/flatbuffers.h>

#include <functional>

#include "bundle.h"

namespace inn {

using ModelBytes = flatbuffers::DetachedBuffer;

// The bytes of a .ms file. `weight` is called once per weight tensor, in the graph's order. Throws UsageError
// where the file would be larger than a FlatBuffer can be.
ModelBytes PackModel(const Manifest &manifest, const Widths &widths, const std::function<Tensor(int64_t)> &weight);

}  // namespace inn

#endif  // INN_MS_WRITER_H_
