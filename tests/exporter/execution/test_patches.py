"""What a layer's kernel multiplies."""

from __future__ import annotations

import pytest
from inn_exporter.execution.patches import PATCHES, sampled_patches
from inn_exporter.ordering.continuous import ContinuousNetwork
from networks import images


def test_patches_are_bounded_whatever_the_number_of_images(
    small: ContinuousNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = next(node for node in small.graph.nodes if node.op == "Conv")
    x = images(40, 3, 20, 20)

    def values() -> int:
        return sum(patches.size for _, _, patches in sampled_patches(small.graph, node, x, seed=0))

    one = 3 * 3 * 3  # values in a patch
    assert values() == len(x) * PATCHES * one
    monkeypatch.setattr("inn_exporter.execution.patches.PATCH_VALUES", len(x) * 5 * one + 1)
    assert values() == len(x) * 5 * one
    monkeypatch.setattr("inn_exporter.execution.patches.PATCH_VALUES", 1)
    assert values() == len(x) * one
