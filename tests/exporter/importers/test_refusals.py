"""What the importer refuses, and how it says so: one clear error, whatever the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from inn_exporter.errors import UnsupportedGraphError
from inn_exporter.importers import import_onnx
from inn_runtime import UsageError
from networks import Network
from onnx import TensorProto, helper
from places import DATA


def refused(source: Any, *expected: str, **arguments: Any) -> str:
    """The message of the one error, which names all of ``expected``."""
    with pytest.raises(UsageError) as caught:
        import_onnx(source, **arguments)
    message = str(caught.value)
    for part in expected:
        assert part in message, message
    return message


def test_no_such_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "none.onnx: no such file")
    refused(tmp_path, "no such file")


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"not a model", b"\x08\x07"])
def test_not_an_onnx_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    message = refused(path, "broken.onnx: not a valid ONNX model: ")
    assert "\n" not in message


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes((DATA / "torch_vgg-script-18-static.onnx").read_bytes()[:-100])
    refused(path, "broken.onnx: not a valid ONNX model: ")


def test_missing_external_data(tmp_path: Path) -> None:
    n = Network()
    n.output(n.conv(n.input(3, 4, 4), 3, 4), 4)
    path = tmp_path / "net.onnx"
    onnx.save(n.model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    refused(path, "net.onnx: its weights are in 'weights.bin', not found; put them beside the model")


def test_model_that_fails_the_checker(tmp_path: Path) -> None:
    n = Network()
    n.output(n.node("Relu", n.input(4, 3, 3), stride=2), 4)
    refused(n.model(check=False), "not a valid ONNX model", "stride")


def test_initializer_whose_values_do_not_fill_it() -> None:
    n = Network()
    n.output(n.conv(n.input(3, 4, 4), 3, 4), 4)
    n.initializers[0].dims[0] = 5
    refused(n.model(check=False), "not a valid ONNX model", "constant_0")


def test_damaged_files_give_one_error(tmp_path: Path) -> None:
    """Bytes changed at random: the file is read, or refused; nothing else is ever raised."""
    content = (DATA / "torch_vgg-script-18-static.onnx").read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.onnx"
    outcomes = set()
    for _ in range(200):
        damaged = bytearray(content)
        for position in random.integers(len(damaged), size=4):
            damaged[position] = random.integers(256)
        path.write_bytes(damaged)
        try:
            import_onnx(path)
            outcomes.add("read")
        except UsageError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_shapes_that_do_not_fit() -> None:
    n = Network()
    n.output(n.dense(n.input(4), 3, 2))
    refused(n.model(check=False), "shapes do not fit together", "gemm_0")
    n = Network()
    n.output(n.conv(n.input(4, 3, 3), 3, 2), 4)
    refused(
        n.model(check=False), "conv_0", "a weight of shape (2, 3, 3, 3) for an input of shape (1, 4, 3, 3)"
    )


@pytest.mark.parametrize("opset", [7, 10, 1000])
def test_opset(opset: int) -> None:
    n = Network()
    n.output(n.relu(n.input(3, 4, 4)), 4)
    n.opset = opset
    refused(n.model(check=False), f"expected opset 11 to 21, found {opset}")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    n = Network()
    x = n.conv(n.input(3, 4, 4), 3, 4)
    n.output(n.batch_norm(x, 4), 4)
    broken = onnx.numpy_helper.to_array(n.initializers[0]).copy()
    broken[1, 2, 0, 0] = value
    name = n.initializers[0].name
    n.initializers[0].CopyFrom(onnx.numpy_helper.from_array(broken, name))
    refused(n.model(), f"constant {name!r} holds values that are not finite")


def test_open_extent() -> None:
    n = Network()
    n.output(n.relu(n.input(3, "height", 4)), 4)
    refused(n.model(), "input 'x': dimension 2 is open; give its size with --input-shape")
    refused(n.model(), "dimension 2 is open", input_shapes={"x": (1, 3, 0, 4)})
    refused(n.model(), "has 4 dimensions, found shape [1, 3]", input_shapes={"x": (1, 3)})
    refused(n.model(), "no input is named 'z'; its inputs are x", input_shapes={"z": (1, 3, 4, 4)})


@pytest.mark.parametrize(("kind", "name"), [(TensorProto.INT64, "int64"), (TensorProto.BOOL, "bool")])
def test_input_type(kind: int, name: str) -> None:
    n = Network()
    n.output(n.node("Cast", n.input(3, 4, 4, kind=kind), to=TensorProto.FLOAT), 4)
    refused(n.model(), f"input 'x': expected float32, found {name}")


def test_input_without_batch() -> None:
    n = Network()
    n.output(n.relu(n.input()), 1)
    refused(n.model(), "input 'x': expected a batch and at least one dimension more")


def test_every_reason_is_given_at_once() -> None:
    n = Network(opset=9)
    x = n.node("Fancy", n.input("channels", None, 4), n.input(3, kind=TensorProto.INT64, name="tokens"))
    n.nodes[-1].domain = "mine"
    n.output(n.node("QuantizeLinear", x, n.constant(1.0)))
    message = refused(n.model(check=False), input_shapes={"y": (1, 3)})
    first, *listed = [line.strip() for line in message.splitlines()]
    assert first == "network: cannot be imported, for 7 reasons:"
    assert listed == [
        "expected opset 11 to 21, found 9; onnx.version_converter brings it up",
        "no input is named 'y'; its inputs are x, tokens",
        "input 'x': dimension 1 is open; give its size with --input-shape",
        "input 'x': dimension 2 is open; give its size with --input-shape",
        "input 'tokens': expected float32, found int64; give embedded tokens",
        "fancy_0: Fancy: an operator of the domain 'mine': export with ONNX's own operators only",
        "quantizelinear_1: QuantizeLinear: a quantised network: export it in float32; --storage int8 makes "
        "the bundle small",
    ]


def test_control_flow_and_quantised_networks() -> None:
    n = Network()
    x = n.input(3)
    inner = helper.make_graph(
        [helper.make_node("Neg", [x], ["negative"])],
        "inner",
        [],
        [helper.make_tensor_value_info("negative", TensorProto.FLOAT, None)],
    )
    condition = n.node("Greater", n.node("ReduceSum", x, n.integers(0, 1), keepdims=0), n.constant(0.0))
    y = n.node("If", condition, then_branch=inner, else_branch=inner)
    scale, zero = n.constant(0.1), n.constant(0, np.uint8)
    n.output(n.node("DequantizeLinear", n.node("QuantizeLinear", n.relu(x), scale, zero), scale, zero))
    n.output(n.node("Neg", y))
    refused(
        n.model(check=False),
        "control flow (a subgraph): export with fixed shapes and options",
        "QuantizeLinear(): a quantised network: export it in float32",
    )


def test_inputs_of_different_batch() -> None:
    n = Network(batch=2)
    x = n.input(3, 4, 4)
    n.batch = 1
    n.output(n.node("Add", x, n.input(3, 4, 4, name="y")), 4)
    refused(n.model(check=False), "its inputs have different batch sizes: [2, 1]")


def test_outputs_that_are_no_networks() -> None:
    n = Network()
    n.output(n.node("Identity", n.input(3, 4, 4)), 4)
    refused(n.model(), "output 'identity_0_out' is the input 'x', unchanged")
    n = Network()
    n.output(n.relu(n.input(3, 4, 4)), 4)
    n.output(n.node("Neg", n.constant([[1.0]])))
    refused(n.model(), "output 'neg_1_out' does not depend on an input")
    n = Network()
    y = n.output(n.relu(n.input(3, 4, 4)), 4)
    n.output(n.node("Identity", y), 4)
    refused(n.model(), "outputs 'relu_0_out' and 'identity_1_out' are the same tensor")


def test_every_unsupported_node_is_listed() -> None:
    n = Network()
    x = n.input(4, 6, 6)
    edge = n.node("Pad", x, n.integers(0, 0, 1, 1, 0, 0, -1, -1), mode="edge")
    behind = n.node("Pad", edge, n.integers(0, 0, -1, -1, 0, 0, -1, -1), mode="edge")
    crop = n.node("Pad", x, n.integers(0, 0, -1, -1, 0, 0, -1, -1), mode="edge")
    n.output(crop, 4)
    x = n.node("Shrink", behind, lambd=0.125)
    n.nodes.append(helper.make_node("Fancy", [x], ["fancy_out"], name="fancy", domain="mine", mode="fast"))
    x = n.node("Gemm", n.node("Flatten", n.relu("fancy_out")), n.weight(144, 2), transA=1)
    n.output(x)
    model = n.model(check=False)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    with pytest.raises(UnsupportedGraphError) as caught:
        import_onnx(model)
    first, *listed = str(caught.value).splitlines()
    assert first == "network: 4 nodes cannot be imported:"
    names = [line.split(":")[0].strip() for line in listed]
    # What follows is only unknown for now; operators without importer are named wherever they are.
    assert names == ["pad_0", "pad_2", "shrink_3", "fancy"]
    assert "Pad(mode=edge): padding by less than nothing" in listed[0]
    assert "Shrink(lambd=0.125): this operator is not supported" in listed[2]
    assert "Fancy(mode=fast)" in listed[3]


def vector(n: Network) -> str:
    return n.input(6)


def image(n: Network) -> str:
    return n.input(6, 5, 4)


def with_indices(n: Network) -> str:
    largest = n.node("MaxPool", image(n), kernel_shape=[2, 2], outputs=2)
    return n.node("Add", largest, n.node("Cast", n.nodes[-1].output[1], to=TensorProto.FLOAT))


REFUSED: dict[str, tuple[Callable[[Network], str], str]] = {
    "transA": (
        lambda n: n.node("Gemm", n.node("Gemm", vector(n), n.weight(6, 1)), n.weight(1, 3), transA=1),
        "Gemm with a transposed first operand",
    ),
    "weight": (
        lambda n: n.node("Conv", image(n), n.input(6, 3, 3, name="w")),
        "input 1 ('w') is not a constant",
    ),
    "constant first": (
        lambda n: n.node("MatMul", n.weight(1, 1), n.node("MatMul", vector(n), n.weight(6, 2))),
        "a product over the batch",
    ),
    "transposed depthwise dilation": (
        lambda n: n.conv_transpose(image(n), 6, 6, group=6, dilations=[1, 2]),
        "depthwise transposed convolution with dilation",
    ),
    "transposed channels": (
        lambda n: n.conv_transpose(image(n), 5, 2),
        "a weight of shape (5, 2, 3, 3) for an input of shape (1, 6, 5, 4)",
    ),
    "transposed weight": (
        lambda n: n.node("ConvTranspose", image(n), n.input(6, 3, 3, name="w")),
        "input 1 ('w') is not a constant",
    ),
    "output padding": (
        lambda n: n.conv_transpose(image(n), 6, 2, dilations=[1, 3], output_padding=[0, 2]),
        "an output padding that is not smaller than the stride",
    ),
    "output padding at the border": (
        lambda n: n.conv_transpose(image(n), 6, 2, auto_pad="SAME_UPPER", output_padding=[1, 0]),
        "auto_pad 'SAME_UPPER' with an output padding",
    ),
    "output shape": (
        lambda n: n.conv_transpose(image(n), 6, 2, output_shape=[11, 10]),
        "an output of [11, 10], where all windows together cover [11, 9]",
    ),
    "stride beyond the window": (
        lambda n: n.conv_transpose(image(n), 6, 2, kernel=1, auto_pad="SAME_LOWER"),
        "an output of [10, 8], where all windows together cover [9, 7]",
    ),
    "unknown auto_pad": (
        lambda n: n.conv_transpose(image(n), 6, 2, auto_pad="SAME"),
        "auto_pad 'SAME'",
    ),
    "nothing left": (
        lambda n: n.conv_transpose(image(n), 6, 2, pads=[5, 0, 6, 0]),
        "pads that leave an output of (1, 2, 0, 9)",
    ),
    "negative padding": (
        lambda n: n.node("Pad", image(n), n.integers(0, 0, 1, 0, 0, 0, -1, 0)),
        "padding by less than nothing",
    ),
    "reflection": (
        lambda n: n.node("Pad", image(n), n.integers(0, 0, 5, 0, 0, 0, 0, 0), mode="reflect"),
        "a reflection larger than its image",
    ),
    "infinite padding": (
        lambda n: n.node("Pad", image(n), n.integers(0, 0, 1, 0, 0, 0, 0, 0), n.constant(-np.inf)),
        "padding with -inf",
    ),
    "bias": (
        lambda n: n.node("Gemm", vector(n), n.weight(6, 3), n.weight(3, 1)),
        "Gemm with a bias of shape (3, 1)",
    ),
    "dilation": (
        lambda n: n.node("MaxPool", image(n), kernel_shape=[2, 2], dilations=[2, 2]),
        "dilated pooling",
    ),
    "indices": (with_indices, "its output 'maxpool_0_out1' is used"),
    "flatten batch": (lambda n: n.node("Flatten", image(n), axis=0), "joins the batch with the rest"),
    "squeeze all": (lambda n: n.node("Squeeze", n.node("GlobalAveragePool", image(n))), "may drop the batch"),
    "padded batch": (
        lambda n: n.node("Pad", image(n), n.integers(1, 0, 0, 0, 0, 0, 0, 0)),
        "padding of the batch",
    ),
    "blocks that do not correspond": (
        lambda n: n.node("Reshape", image(n), n.integers(0, 4, 30)),
        "(1, 6, 5, 4) as (1, 4, 30): blocks that do not correspond",
    ),
    "conv3d": (lambda n: n.node("Conv", n.input(6, 5, 4, 4), n.weight(2, 6, 3, 3, 3)), "only 1-D and 2-D"),
    "product of other ranks": (
        lambda n: n.node("MatMul", image(n), n.input(4, 3, name="y")),
        "the product of activations of shapes (1, 6, 5, 4) and (1, 4, 3)",
    ),
    "product over the batch": (
        lambda n: n.node("MatMul", n.weight(2, 1), vector(n)),
        "a product over the batch",
    ),
    "norm of everything": (
        lambda n: n.node("LayerNormalization", image(n), n.weight(6, 5, 4), axis=0),
        "normalisation over the batch",
    ),
    "matrices of other numbers": (
        lambda n: n.node("MatMul", image(n), n.weight(2, 1, 1, 4, 3)),
        "MatMul of shapes (1, 6, 5, 4) and (2, 1, 1, 4, 3)",
    ),
    "choice from the batch": (lambda n: n.node("Gather", image(n), n.integers(0)), "a choice from the batch"),
    "repeated": (
        lambda n: n.node("Tile", image(n), n.integers(3, 1, 1, 1)),
        "repeating, from (1, 6, 5, 4) to (3, 6, 5, 4)",
    ),
    "computed power": (lambda n: n.node("Pow", vector(n), n.relu("x")), "a power that is computed"),
    "batch mean": (lambda n: n.node("ReduceMean", image(n)), "a mean over the batch"),
    "softmax over the batch": (lambda n: n.node("Softmax", vector(n), axis=0), "softmax over the batch"),
    "training": (
        lambda n: n.node("Dropout", vector(n), n.constant(0.5), n.constant(True, bool)),
        "dropout in training mode",
    ),
    "ranks": (
        lambda n: n.node("Add", image(n), n.input(5, 4, name="y")),
        "broadcasting between tensors of different ranks",
    ),
    "joined constants": (
        lambda n: n.node("Concat", vector(n), n.weight(1, 3), n.relu("x"), axis=1),
        "joining several activations and constants",
    ),
    "joined batch": (
        lambda n: n.node("Concat", vector(n), n.input(6, name="y"), axis=0),
        "joining images of a batch",
    ),
    "steps": (
        lambda n: n.node("Slice", image(n), *map(n.integers, (0, 5, 2, -2))),
        "a slice of nothing",
    ),
    "slice of the batch": (
        lambda n: n.node("Slice", image(n), *map(n.integers, (0, 0, 0))),
        "a slice of nothing",
    ),
    "split batch": (lambda n: n.node("Split", vector(n), axis=0), "a split of the batch"),
    "sum of shapes": (
        lambda n: n.node("Sum", image(n), n.node("GlobalAveragePool", "x")),
        "the sum of tensors of different shapes",
    ),
    "nearest": (
        lambda n: n.node(
            "Resize",
            image(n),
            n.constant([0, 0, 0, 0, 1, 1, 1, 1]),
            n.constant([1, 1, 1.25, 1]),
            mode="nearest",
            coordinate_transformation_mode="tf_crop_and_resize",
        ),
        "nearest neighbours by [1.25, 1.0], tf_crop_and_resize",
    ),
    "smoothed": (
        lambda n: n.node("Resize", image(n), "", n.constant([1, 1, 0.5, 1]), mode="cubic", exclude_outside=1),
        "interpolation that is smoothed, or excludes what is outside",
    ),
    "even LRN": (lambda n: n.node("LRN", image(n), size=2), "only over an odd number of channels"),
    "zero": (lambda n: n.node("Div", vector(n), n.constant(0)), "a division by zero"),
    "limits": (lambda n: n.node("Min", vector(n), n.weight(6)), "the smallest of a tensor and several const"),
    "cast": (
        lambda n: n.node("Cast", n.node("Cast", vector(n), to=TensorProto.INT64), to=TensorProto.FLOAT),
        "Cast(to=7): only of float32 to itself",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_form(case: str) -> None:
    build, reason = REFUSED[case]
    n = Network()
    n.output(build(n), 4)
    with pytest.raises(UnsupportedGraphError) as caught:
        import_onnx(n.model(check=False))
    assert reason in str(caught.value)


def test_opset_11_softmax_over_several_axes() -> None:
    n = Network(opset=11)
    n.output(n.node("Softmax", image(n), axis=1), 4)
    refused(n.model(), "opset 11's softmax over several axes at once")


def test_withdrawn_group_normalisation() -> None:
    n = Network(opset=18)
    n.output(n.node("GroupNormalization", image(n), n.weight(3), n.weight(3), num_groups=3), 4)
    refused(
        n.model(check=False), "ONNX withdrew the GroupNormalization of opset 18; export with opset 21, or 17"
    )


def test_group_normalisation_that_does_not_fit() -> None:
    n = Network(opset=21)
    x = image(n)
    n.output(n.node("GroupNormalization", x, n.weight(6), n.weight(6), num_groups=4), 4)
    n.output(n.node("GroupNormalization", x, n.weight(2), n.weight(6), num_groups=2), 4)
    refused(
        n.model(check=False),
        "the channels of input shape (1, 6, 5, 4) in 4 groups",
        "input 1 of shape (2,), expected (6,)",
    )


def test_batch_that_is_mixed_with_the_rest() -> None:
    n = Network(batch=4)
    x = n.node("Reshape", n.relu(n.input(7, 6)), n.integers(14, 12))
    n.output(n.dense(x, 12, 3))
    refused(
        n.model(check=False),
        "reshape_1: Reshape of (4, 7, 6) to (14, 12): the batch of 4 is mixed with the rest",
        "export with a batch of 1, or an open one",
    )


def test_constant_of_each_image() -> None:
    n = Network(batch=4)
    n.output(n.node("Add", n.relu(n.input(3, 6)), n.weight(4, 3, 6)), 3)
    refused(n.model(), "a constant that differs from image to image")
