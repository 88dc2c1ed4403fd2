"""The measured curve: what a network keeps at each size, and the self-check's expected outputs.

Both use the very weights that the runtime samples from the bundle, in MindSpore. The curve compares them with
the source file, whose outputs the self-check expects at full size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable

import numpy as np
from inn_runtime.noise import noise
from inn_runtime.source import relative_difference

from ..data.samples import Samples
from ..execution import forward
from ..graph.graph import Graph
from ..graph.outputs import is_classifier
from .draft import Draft
from .judge import Judge
from .onnx_writer import resized_constants

COLLAPSE = {"agreement": 0.8, "psnr": 25.0}
"""Below this a resized network no longer stands in for the original."""


def measure(
    graph: Graph,
    draft: Draft,
    layouts: Mapping[str, Sequence[int]],
    samples: Samples,
    judge: Judge,
    storage: str,
    progress: Callable[[float], None] = lambda done: None,
) -> None:
    """Fill in the draft's curve and self-check, at every size it holds.

    Raises
    ------
    SourceMismatchError : at full size it does not compute what its source does
    """
    bundle = draft.bundle(graph.name)
    inputs = judge.source.representable(samples.inputs)
    reference = judge.expected(inputs)
    check_inputs = {
        name: noise(draft.manifest["check_seed"] + index, graph.shapes[name])
        for index, name in enumerate(graph.inputs)
    }
    check_inputs = judge.source.representable(check_inputs)
    entries = draft.manifest["sizes"]
    for done, entry in enumerate(reversed(entries)):
        model = bundle.resample(entry["size"])
        constants = resized_constants(model, layouts)
        expected = forward.run(graph, check_inputs, constants)
        if entry["size"] == 1.0:
            found, expected = expected, judge.expected(check_inputs)
            apart = [relative_difference(found[name], expected[name]) for name in expected]
            differs = max(judge.check(graph, constants, bundle, storage), *apart)
            draft.manifest["source_difference"] = min(differs, 1.0)
        outputs = forward.run(graph, inputs, constants)
        entry["measured"] = {
            **quality(graph, outputs, reference, samples.labels),
            "parameters": model.parameters,
            "macs": model.macs,
        }
        for name, values in expected.items():
            key = f"check/{name}@{entry['size']:g}"
            draft.tensors[key] = values.astype(np.float32)
            entry["check"][name] = key
        progress((done + 1) / len(entries))
    draft.manifest["curve"] = {
        "metrics": [m for m in entries[0]["measured"] if m not in ("parameters", "macs")],
        "n": len(samples),
        "safe_from": safe_from({entry["size"]: entry["measured"] for entry in entries}),
    }


def safe_from(measured: Mapping[float, Mapping[str, float]]) -> float:
    """The smallest size from which on every measured size keeps what can be called the same network."""
    safe = 1.0
    for size in sorted(measured, reverse=True):
        metric = "agreement" if "agreement" in measured[size] else "psnr"
        if measured[size][metric] < COLLAPSE[metric]:
            break
        safe = size
    return safe


def quality(
    graph: Graph,
    outputs: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    labels: np.ndarray | None = None,
) -> dict[str, float]:
    """What a resized network keeps.

    Returns
    -------
    ``agreement`` with the full network's top class, and ``accuracy`` where there are labels, as fractions
    of 1; for other networks ``psnr`` in dB against the full network's output, relative to its range
    """
    name = graph.outputs[0]
    if not is_classifier(graph):
        error = float(np.mean((outputs[name] - reference[name]) ** 2, dtype=np.float64))
        span = float(reference[name].max() - reference[name].min()) or 1.0
        return {"psnr": float(10 * np.log10(span**2 / max(error, 1e-20 * span**2)))}
    chosen = outputs[name].argmax(1)
    result: dict[str, float] = {"agreement": float(np.mean(chosen == reference[name].argmax(1)))}
    if labels is not None:
        result = {"accuracy": float(np.mean(chosen == labels)), **result}
    return result
