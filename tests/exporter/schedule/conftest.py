"""What the schedule's tests share."""

from __future__ import annotations

import pytest
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from networks import images
from unequal import Prepared, network_of_unequal_groups


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    graph, inputs = fold(import_onnx(network_of_unequal_groups().model())), {"x": images(48, 3, 8, 8)}
    return laid_out(*analyse(graph), inputs, storage="float32"), inputs
