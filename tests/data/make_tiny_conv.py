"""Make the golden files of the engine's tests: tiny_conv.ms, and tiny_conv.npz with inputs and outputs.

    python make_tiny_conv.py PYTHON37

PYTHON37 is a CPython 3.7 that has mindspore-lite 2.0.0, whose converter makes the ``.ms``. This Python
needs onnx and onnxruntime, which computes the outputs.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parent
HEIGHT, WIDTH, BATCH = 12, 10, 4

CONVERT = """
import sys
import mindspore_lite
converter = mindspore_lite.Converter()
converter.save_type = mindspore_lite.ModelType.MINDIR_LITE
converter.convert(mindspore_lite.FmkType.ONNX, sys.argv[1], sys.argv[2])
"""


def make_onnx(random: np.random.Generator) -> onnx.ModelProto:
    """Conv, Relu, GlobalAveragePool, Flatten, Gemm; batch 1."""

    def constant(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(0, 0.5, shape).astype(np.float32), name)

    convolution = {"kernel_shape": [3, 3], "strides": [2, 2], "dilations": [1, 1], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["conv"], name="conv", **convolution),
        helper.make_node("Relu", ["conv"], ["relu"], name="relu"),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"], name="pool"),
        helper.make_node("Flatten", ["pool"], ["flat"], name="flatten"),
        helper.make_node("Gemm", ["flat", "w1", "b1"], ["y"], name="gemm", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny_conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [constant("w0", 8, 3, 3, 3), constant("b0", 8), constant("w1", 5, 8), constant("b1", 5)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def main(python37: str) -> None:
    random = np.random.default_rng(0)
    model = make_onnx(random)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "tiny_conv.onnx"), Path(folder, "tiny_conv")
        onnx.save(model, source)
        subprocess.run([python37, "-c", CONVERT, str(source), str(target)], check=True)
        (FOLDER / "tiny_conv.ms").write_bytes(target.with_suffix(".ms").read_bytes())
    images = random.normal(0, 1, (BATCH, 3, HEIGHT, WIDTH)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    outputs = [session.run(["y"], {"x": image[None]})[0] for image in images]
    np.savez(FOLDER / "tiny_conv.npz", x=images.transpose(0, 2, 3, 1), y=np.concatenate(outputs))


if __name__ == "__main__":
    main(sys.argv[1])
