"""From a size to weights, and to a MindSpore Lite model: the widths, the mathematics, the `.ms` bytes."""
