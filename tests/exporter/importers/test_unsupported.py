"""Nodes behind those that cannot be imported, and what importers do not expect: one list."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from inn_exporter.errors import UnsupportedGraphError
from inn_exporter.graph.view import View
from inn_exporter.importers import import_onnx
from inn_exporter.operators import IMPORTERS
from inn_runtime import UsageError
from networks import Network
from onnx import TensorProto

CUT = "cut the network before it, for example with onnx.utils.extract_model"
EXPECTED: dict[str, str] = {
    "RNN": "of the recurrent layers, LSTM and GRU are supported; " + CUT,
    "TopK": "post-processing: " + CUT,
    "ArgMax": "post-processing: " + CUT,
    "GatherElements": "post-processing: " + CUT,
    "NonMaxSuppression": "post-processing: " + CUT,
    "GridSample": "pixels at computed places are not supported: use Resize for fixed ones, or " + CUT,
    "Conv": "3-D convolution is not supported, only 1-D and 2-D",
}


def listed(n: Network, **arguments: object) -> list[str]:
    """The nodes that cannot be imported, with their reasons."""
    with pytest.raises(UnsupportedGraphError) as caught:
        import_onnx(n.model(check=False), **arguments)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def recurrent(n: Network) -> str:
    """A sequence through a recurrent layer, and everything that files have around it."""
    x = n.node("Transpose", n.input(10, 8), perm=[1, 0, 2])
    y = n.node("RNN", x, n.weight(1, 6, 8), n.weight(1, 6, 6), hidden_size=6)
    y = n.node("Squeeze", y, n.integers(1))
    y = n.node("Transpose", y, perm=[1, 0, 2])
    return n.dense(n.node("Reshape", y, n.integers(0, 60)), 60, 3)


def scores(n: Network) -> str:
    return n.dense(n.input(6), 6, 8)


def as_float(n: Network, x: str) -> str:
    return n.node("Cast", x, to=TensorProto.FLOAT)


BUILT: dict[str, Callable[[Network], str]] = {
    "RNN": lambda n: recurrent(n),
    "TopK": lambda n: n.node("Squeeze", n.node("TopK", scores(n), n.integers(1), outputs=2), n.integers(1)),
    "ArgMax": lambda n: as_float(n, n.node("Squeeze", n.node("ArgMax", scores(n), axis=1), n.integers(1))),
    "GatherElements": lambda n: n.relu(n.node("GatherElements", scores(n), n.constant([[1]], int), axis=1)),
    "NonMaxSuppression": lambda n: as_float(
        n, n.node("NonMaxSuppression", n.input(5, 4), n.input(1, 5, name="y"))
    ),
    "GridSample": lambda n: n.relu(n.node("GridSample", n.input(3, 5, 5), n.constant([[[[0.5, 0.5]]]]))),
    "Conv": lambda n: n.node("Squeeze", n.node("Conv", n.input(1, 3, 3, 3), n.weight(1, 1, 3, 3, 3))),
}


@pytest.mark.parametrize("op", EXPECTED)
def test_refused_by_name_and_alone(op: str) -> None:
    n = Network()
    n.output(BUILT[op](n))
    (line,) = listed(n)
    assert f": {op}(" in line
    assert EXPECTED[op] in line


def test_output_that_is_left_out() -> None:
    """The last state alone is read: the node has a name, and absent inputs are no unknown ones."""
    n = Network()
    x = n.node("Transpose", n.input(10, 8), perm=[1, 0, 2])
    state = n.node("RNN", x, n.weight(1, 6, 8), n.weight(1, 6, 6), hidden_size=6, outputs=2)
    n.nodes[-1].output[0], n.nodes[-1].name = "", ""
    n.output(n.dense(n.node("Squeeze", f"{state}1", n.integers(0)), 6, 2))
    n.output(
        n.node("Pad", n.node("Clip", "x", "", n.constant(1)), n.integers(0, 1, 0, 0, -1, 0), mode="edge")
    )
    first, second = listed(n)
    assert first.startswith(f"{state}1: RNN(hidden_size=6)")
    assert "padding by less than nothing" in second


@pytest.mark.parametrize("error", [IndexError, KeyError, TypeError, ValueError, ZeroDivisionError])
def test_whatever_an_importer_raises(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(node: object) -> View:
        raise error("deep inside")

    monkeypatch.setitem(IMPORTERS, "Relu", broken)
    n = Network()
    x = n.node("LeakyRelu", n.relu(n.input(4)), alpha=0.5)
    n.output(n.node("Squeeze", x, n.integers(0)))
    assert listed(n) == ["relu_0: Relu(): this form is not supported"]


def test_reshaping_to_another_number_of_elements() -> None:
    view = View.whole("x", (1, 4, 6))
    assert view.reshaped((1, 4, 12)) is None
    assert view.reshaped((1, 4, 3)) is None
    assert view.reshaped((1, 0)) is None
    assert view.reshaped((8, 3)) is not None


def test_operators_are_named_with_the_inputs_problems() -> None:
    n = Network()
    x = n.input(3, "height", 4)
    n.input(7, name="tokens", kind=TensorProto.INT64)
    extent = n.node("Gather", n.node("Shape", x), n.integers(2))
    half = n.node(
        "BitShift", extent, n.constant([1], "uint64"), direction="RIGHT"
    )  # of shapes alone: who knows
    x = n.node("Resize", x, "", "", n.node("Concat", n.integers(1, 3), half, n.integers(4), axis=0))
    n.output(n.node("Shrink", n.node("RNN", x, n.weight(1, 6, 8), n.weight(1, 6, 6))), 4)
    n.output(n.node("Cast", "tokens", to=TensorProto.FLOAT))
    frames = n.node("Unsqueeze", "x", n.integers(1))
    n.output(n.node("Conv", frames, n.weight(2, 1, 3, 3, 3)), 5)
    n.node("Sin", "x")  # nothing reads it
    with pytest.raises(UsageError) as caught:
        import_onnx(n.model(check=False))
    first, *reasons = [line.strip() for line in str(caught.value).splitlines()]
    assert first == "network: cannot be imported, for 5 reasons:"
    assert reasons.pop().startswith(f"{n.nodes[-2].name}: Conv: {EXPECTED['Conv']}")
    assert reasons == [
        "input 'x': dimension 2 is open; give its size with --input-shape",
        "input 'tokens': expected float32, found int64; give embedded tokens",
        f"{n.nodes[-6].name}: RNN: {EXPECTED['RNN']}",
        f"{n.nodes[-5].name}: Shrink: this operator is not supported",
    ]
