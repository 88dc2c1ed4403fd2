"""Any imported network as an integral network: its constants are control grids, its width is a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..backend import mindspore, tensor
from ..execution.forward import outputs
from ..graph.channels import Channels
from ..graph.graph import Graph
from ..integral.sampling import Sampling

_Cell: Any = mindspore().nn.Cell


class IntegralNetwork(_Cell):
    """A graph whose constants are MindSpore parameters, computed at any size.

    Parameters
    ----------
    graph : the network; its constants are the control grids
    channels : its channel groups

    Attributes
    ----------
    grids : constant → Parameter
    """

    def __init__(self, graph: Graph, channels: Channels) -> None:
        super().__init__(auto_prefix=False)
        self._graph = graph
        self._channels = channels
        parameter = mindspore().Parameter
        self.grids: dict[str, Any] = {
            name: parameter(tensor(values.astype(np.float32)), name=name)
            for name, values in graph.constants.items()
        }

    def outputs(
        self,
        inputs: Sequence[Any],
        sampling: Sampling | None = None,
        replaced: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        """The network's outputs at a size (full: None), each (images, …).

        Parameters
        ----------
        inputs : tensors in the network's order
        replaced : constant → tensor that is used as it is instead of the sampled grid
        """
        replaced = replaced or {}

        def constant(name: str) -> Any:
            if name in replaced:
                return replaced[name]
            grid = self.grids[name]
            return grid if sampling is None else sampling.weight(grid, self._channels.dims[name])

        return outputs(self._graph, inputs, constant)

    def construct(self, *inputs: Any) -> tuple[Any, ...]:
        """The outputs at full size."""
        return tuple(self.outputs(inputs))

    def constants(self) -> dict[str, np.ndarray]:
        """The control grids as they are now."""
        return {name: grid.asnumpy() for name, grid in self.grids.items()}
