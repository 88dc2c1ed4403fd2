"""Tuning: every size learns, the full one included, and runs resume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from inn_exporter import export
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.data.samples import Samples
from inn_exporter.execution import forward
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import laid_out
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.training import Tuning, TuningError, tune
from inn_runtime import UsageError
from networks import Network
from tunable import SIZES, model, prepare, right


@pytest.mark.slow
def test_all_sizes_learn_labels_together(labelled: Samples) -> None:
    network, sizes = prepare(labelled)
    tables = {s: {q: t.read() for q, t in found.tables.items()} for s, found in sizes.items()}
    tuning = Tuning(seen=16_000, batch=64, rate=3e-3, sizes=2)
    tuned, after, log = tune(network, sizes, labelled, tuning)
    assert right(network.graph, labelled) < 0.3 < 0.6 < right(tuned.graph, labelled)
    for size, found in after.items():
        assert right(tuned.graph, labelled, found.constants) > 0.55
        assert all(np.array_equal(t.read(), tables[size][q]) for q, t in found.tables.items())
    assert set(log[-1]["loss"]) == {"1", "0.3", "0.6"}
    assert log[-1]["loss"]["0.3"] < log[0]["loss"]["0.3"]


def test_without_labels_sizes_come_closer_to_the_original(labelled: Samples) -> None:
    network, sizes = prepare(labelled)
    graph = network.graph
    unlabelled = Samples(labelled.inputs)
    name = graph.outputs[0]
    original = forward.run(graph, labelled.inputs)[name]

    def error(sizes: dict[float, CalibratedSize]) -> float:
        found = forward.run(graph, labelled.inputs, sizes[0.3].constants)[name]
        return float(((found - original) ** 2).mean())

    tuned = tune(network, sizes, unlabelled, Tuning(seen=8_000, batch=50, mirror=True, rate=2e-3))
    assert error(tuned.sizes) < 0.8 * error(sizes)


def test_random_sizes_are_tuned_by_the_rule(labelled: Samples) -> None:
    network, _ = prepare(labelled, "smooth")
    tuning = Tuning(seen=12_800, batch=64, rate=3e-3, most=1.5)
    tuned, _, log = tune(network, {}, labelled, tuning)
    assert right(tuned.graph, labelled) > 0.55
    assert {"1", "0.3+", "0.7+", "1.2+"} <= {name for row in log for name in row["loss"]}


def test_depthwise_kernels_are_stored_as_they_were_tuned(labelled: Samples) -> None:
    """Calibration refits them for each size; tuning changes the grids, and runs without what was refitted."""
    net = Network()
    x = net.relu(net.conv(net.input(1, 14, 14), 1, 8))
    x = net.relu(net.conv(net.relu(net.conv(x, 8, 8, group=8)), 8, 8))
    net.output(net.dense(net.node("Flatten", net.node("GlobalAveragePool", x)), 8, 10))
    graph = fold(import_onnx(net.model()))
    network = laid_out(*analyse(graph), labelled.inputs)
    size = CalibratedSize(network.channels.widths(0.5))
    (size,) = Calibration(network).run([size], labelled.inputs)
    (kernel,) = size.corrections
    tuned, sizes, _ = tune(network, {0.5: size}, labelled, Tuning(seen=640, batch=64))
    after = sizes[0.5]
    sampled = tuned.constant(kernel, size.discretisation(tuned.axes))
    np.testing.assert_array_equal(after.constants[kernel], sampled)
    assert not after.corrections


class _StopError(Exception):
    pass


def test_interrupted_runs_end_as_if_they_had_not_been(labelled: Samples, tmp_path: Path) -> None:
    tuning = Tuning(seen=1_280, batch=64, rate=1e-3, mirror=True)
    whole = tune(*prepare(labelled), labelled, tuning).network
    path = tmp_path / "run.safetensors"

    for share in (0.3, 0.5, 0.7):

        def stop(done: float, share: float = share) -> None:
            if done > share:
                raise _StopError

        with pytest.raises(_StopError):
            tune(*prepare(labelled), labelled, tuning, checkpoint=path, progress=stop)
    done: list[float] = []
    resumed = tune(*prepare(labelled), labelled, tuning, checkpoint=path, progress=done.append).network
    assert done[0] > 0.7
    for name, values in whole.graph.constants.items():
        np.testing.assert_allclose(resumed.graph.constants[name], values, atol=2e-3)
    with pytest.raises(UsageError, match="another run: tuning: expected"):
        tune(*prepare(labelled), labelled, Tuning(seen=640), checkpoint=path)
    path.write_bytes(b"no")
    with pytest.raises(UsageError, match="not a tuning checkpoint"):
        tune(*prepare(labelled), labelled, tuning, checkpoint=path)


def test_it_stops_early_at_the_best_and_says_so_in_the_log(labelled: Samples) -> None:
    prepared = prepare(labelled)
    tuning = Tuning(seen=3_840, batch=64, rate=0.3, patience=2)  # far too fast to get better
    log = tune(*prepared, labelled, tuning).log
    assert len(log) < 20
    assert all(row["held_out"] > 0 for row in log)


def test_a_loss_that_is_no_number_names_step_and_size(labelled: Samples, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    tuning = Tuning(seen=1_280, batch=64, rate=1e30)
    with pytest.raises(TuningError, match=rf"the loss of size \S+ is \w+ at step \d+ of 20; {path} is kept"):
        tune(*prepare(labelled), labelled, tuning, checkpoint=path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.arange(1000), "labels: expected 0 to 9, found 0 to 999"), (-np.ones(1000, int), "found -1 to -1")],
)
def test_labels_must_fit(labelled: Samples, labels: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tune(*prepare(labelled), Samples(labelled.inputs, labels), Tuning(seen=64, batch=64))


@pytest.mark.slow
def test_a_tuned_bundle_is_what_was_tuned(labelled: Samples, tmp_path: Path) -> None:
    path = tmp_path / "tuned.inn"
    data = {"x": labelled.inputs["x"], "labels": labelled.labels}
    bundle = export(
        model(),
        path,
        data,
        evaluate=data,
        tune=data,
        tuning=Tuning(seen=12_800, batch=64, rate=3e-3),
        sizes=SIZES,
    )
    measured = {size.size: size.measured["accuracy"] for size in bundle.manifest.sizes}
    assert min(measured.values()) > 0.5
    assert bundle.manifest.is_calibrated
