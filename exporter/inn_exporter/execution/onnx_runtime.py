"""Running a graph in ONNX Runtime, which is several times as fast as MindSpore on a processor.

Constants are part of what ONNX Runtime prepares, so that it lays them out as it needs them; that takes
milliseconds, much less than a pass over the images.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime
from inn_runtime.errors import InnError
from onnx import GraphProto, defs, helper, numpy_helper
from onnx.helper import make_tensor_value_info

from ..backend import cores
from ..graph.graph import Graph
from .onnx_graph import named_steps, onnx_layouts, set_widths, step_constant

OPSET, IR_VERSION = 17, 8
_FLOAT = 1


class OnnxSession:
    """A graph, ready to run; its constants may have any width.

    Parameters
    ----------
    ranks : what is fed, whatever nodes read and do not produce → its number of dimensions

    Raises
    ------
    InnError : ONNX Runtime cannot run it
    """

    def __init__(self, graph: Graph, ranks: Mapping[str, int]) -> None:
        self.outputs = [name for node in graph.nodes for name in node.outputs if name in graph.outputs]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = len(cores())  # by itself it looks at the whole machine
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        content = _model(graph, ranks, self.outputs)
        try:
            self._session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class
            names = ", ".join(node.name for node in graph.nodes[:3])
            raise InnError(f"{graph.name}: ONNX Runtime cannot run {names}: {error}") from None

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs for a batch, float32."""
        return dict(zip(self.outputs, self._session.run(self.outputs, dict(inputs))))


def _model(graph: Graph, ranks: Mapping[str, int], outputs: list[str]) -> bytes:
    body = GraphProto(name=graph.name)
    for node in graph.nodes:
        for step, name in named_steps(node):
            inputs = list(step.inputs)
            for key, value in step.constants.items():
                body.initializer.append(step_constant(value, f"{name}.{key}"))
                inputs.append(f"{name}.{key}")
            names = step.outputs or (step.output,)
            known = defs.get_schema(step.op, OPSET).attributes  # later opsets have more
            attributes = {key: value for key, value in step.attributes.items() if key in known}
            body.node.append(helper.make_node(step.op, inputs, names, name=name, **attributes))
    used = {name: graph.constants[name] for node in graph.nodes for name in graph.constant_inputs(node)}
    for name, axes in onnx_layouts(graph).items():
        used[name] = used[name].transpose(np.argsort(axes))
    set_widths(body, used)
    body.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name)
        for name, values in used.items()
    )
    body.input.extend(make_tensor_value_info(name, _FLOAT, [None] * rank) for name, rank in ranks.items())
    body.output.extend(make_tensor_value_info(name, _FLOAT, None) for name in outputs)
    versions = [helper.make_opsetid("", OPSET)]
    return bytes(helper.make_model(body, opset_imports=versions, ir_version=IR_VERSION).SerializeToString())
