"""What a layer's kernel multiplies."""

from __future__ import annotations

from inn_exporter.execution.patches import PATCH_VALUES, PATCHES, sampled_patches
from inn_exporter.ordering.continuous import ContinuousNetwork
from networks import images


def test_patches_are_bounded_whatever_the_number_of_images(small: ContinuousNetwork) -> None:
    node = next(node for node in small.graph.nodes if node.op == "Conv")
    x = images(40, 3, 20, 20)

    def values(most: int = PATCH_VALUES) -> int:
        return sum(patches.size for _, _, patches in sampled_patches(small.graph, node, x, 0, most))

    one = 3 * 3 * 3  # values in a patch
    assert values() == len(x) * PATCHES * one
    assert values(len(x) * 5 * one + 1) == len(x) * 5 * one
    assert values(1) == len(x) * one
