"""Networks against what they are in ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from inn_exporter.bundling.onnx_writer import resized_onnx
from inn_exporter.graph.graph import Graph
from inn_runtime import Bundle
from networks import images, relative_error, run_onnx

TOLERANCE = 1e-4

Parity = Callable[..., Graph]
"""Of the fixture `assert_import_parity`."""


def operators(graph: Graph) -> Counter[str]:
    """How often each operator occurs."""
    return Counter(node.op for node in graph.nodes)


def assert_lite_parity(bundle: Bundle, sizes: tuple[float, ...] = (1.0, 0.5)) -> None:
    """MindSpore Lite runs the lowered network as ONNX Runtime runs the same resized network, at any batch."""
    ports = bundle.manifest.inputs
    with bundle.resample(1.0).session() as session:
        for size in sizes:
            session.resize(size)
            oracle = resized_onnx(session.model)
            for batch in (1, 3):
                inputs = {
                    port.name: images(batch, *port.shape[1:], seed=batch + 10 * index)
                    for index, port in enumerate(ports)
                }
                found = session.run(inputs)
                expected = run_onnx(oracle, inputs)
                if not isinstance(found, dict):
                    found = dict(zip(expected, [found]))
                for name, values in expected.items():
                    error = relative_error(found[name], values)
                    assert error <= TOLERANCE, f"{name}, size {size}, batch {batch}"
