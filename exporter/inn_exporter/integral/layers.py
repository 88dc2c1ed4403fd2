"""Layers whose weights are continuous functions along their filter and channel axes, as MindSpore Cells.

A layer holds its control grid, one value per channel of the full network and spatial tap. `ContinuousAxis`
objects say where it is sampled; what is tied shares one:

    channels = ContinuousAxis(32)
    first = IntegralConv2d(1, channels, 3, padding=1)
    second = IntegralConv2d(channels, 10, 1)
    channels.resize(12)  # both now compute with 12 channels

At full size a layer is MindSpore's own with the control grid as its weight (`discrete`), which is how
`inn_exporter.from_cell` takes a network of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..backend import mindspore, ops, tensor
from .axis import ContinuousAxis
from .sampling import multiply

AxisLike = Union[int, ContinuousAxis]
"""A continuous axis, or a number of channels that never changes."""

_Cell: Any = mindspore().nn.Cell


def _length(axis: AxisLike) -> int:
    return axis if isinstance(axis, int) else axis.size


def _sampled(value: Any, dimension: int, axis: AxisLike) -> Any:
    """S · W along an output dimension."""
    if isinstance(axis, int) or axis.sampling is None:
        return value
    return multiply(value, dimension, axis.sampling.T)


def _integrated(value: Any, dimension: int, axis: AxisLike) -> Any:
    """W · B along an input dimension."""
    if isinstance(axis, int) or axis.integration is None:
        return value
    return multiply(value, dimension, axis.integration)


def _random_grid(
    random: np.random.Generator, shape: Sequence[int], fan: int, axes: Mapping[int, AxisLike]
) -> np.ndarray:
    """Normal values with the deviation of He et al. 2015, for layers before a ReLU, smooth along axes.

    Parameters
    ----------
    axes : dimension → its axis
    """
    values = random.standard_normal(shape)
    for dimension, axis in axes.items():
        if isinstance(axis, ContinuousAxis) and axis.smoothness and shape[dimension] > 1:
            values = gaussian_filter1d(values, axis.smoothness, dimension, mode="nearest")
    return (values / np.sqrt(np.mean(values**2)) * math.sqrt(2 / fan)).astype(np.float32)


class _IntegralLayer(_Cell):
    """Control grid W and bias b of a layer."""

    input_dimension, output_dimension = 1, 0
    """Of W."""

    def __init__(
        self,
        inputs: AxisLike,
        outputs: AxisLike,
        shape: Sequence[int],
        fan: int,
        has_bias: bool,
        seed: int | None,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        random = np.random.default_rng(seed)
        parameter = mindspore().Parameter
        axes = {self.input_dimension: inputs, self.output_dimension: outputs}
        self.weight = parameter(tensor(_random_grid(random, shape, fan, axes)), name="weight")
        self.has_bias = has_bias
        if has_bias:
            self.bias = parameter(tensor(np.zeros(_length(outputs), np.float32)), name="bias")

    def sampled_weight(self) -> Any:
        """W' = S · W · B, with W's dimensions."""
        weight = _sampled(self.weight, self.output_dimension, self.outputs)
        return _integrated(weight, self.input_dimension, self.inputs)

    def _with_bias(self, y: Any) -> Any:
        return ops().bias_add(y, _sampled(self.bias, 0, self.outputs)) if self.has_bias else y

    def discrete(self) -> Any:
        """MindSpore's own layer, with copies of the parameters."""
        layer = self._layer(mindspore().nn)
        layer.weight.set_data(ops().reshape(self.weight, layer.weight.shape))
        if self.has_bias:
            layer.bias.set_data(self.bias)
        return layer

    def _layer(self, nn: Any) -> Any:
        raise NotImplementedError


class IntegralConv2d(_IntegralLayer):
    """2-D convolution, (images, I, h, w) to (images, O, h', w').

    Parameters
    ----------
    inputs, outputs : axes, or fixed numbers of channels
    kernel_size, stride, dilation : for both dimensions, or one for each
    padding : zeros at every side
    depthwise : every channel is filtered on its own; ``inputs`` and ``outputs`` are then the same axis
    """

    def __init__(
        self,
        inputs: AxisLike,
        outputs: AxisLike,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int = 0,
        dilation: int | tuple[int, int] = 1,
        has_bias: bool = True,
        depthwise: bool = False,
        seed: int | None = None,
    ) -> None:
        if depthwise and inputs is not outputs and inputs != outputs:
            raise ValueError("a depthwise convolution's inputs and outputs are one axis")
        size = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        width = 1 if depthwise else _length(inputs)
        shape = (_length(outputs), width, *size)
        super().__init__(inputs, outputs, shape, width * math.prod(size), has_bias, seed)
        self.depthwise = depthwise
        self.options = {"pad_mode": "pad", "pad": padding, "stride": stride, "dilation": dilation}
        self.kernel_size = size

    def _layer(self, nn: Any) -> Any:
        options = {"padding" if name == "pad" else name: value for name, value in self.options.items()}
        outputs, width = self.weight.shape[:2]
        group = outputs if self.depthwise else 1
        return nn.Conv2d(
            width * group, outputs, self.kernel_size, group=group, has_bias=self.has_bias, **options
        )

    def sampled_weight(self, scale: Any = 1.0) -> Any:
        """W' = S · (scale · W) · B, (O', I', kh, kw)."""
        weight = _sampled(self.weight * scale, 0, self.outputs)
        return weight if self.depthwise else _integrated(weight, 1, self.inputs)

    def convolve(self, x: Any, weight: Any) -> Any:
        """With a sampled weight, without the bias."""
        group = weight.shape[0] if self.depthwise else 1
        return ops().Conv2D(weight.shape[0], self.kernel_size, group=group, **self.options)(x, weight)

    def construct(self, x: Any) -> Any:
        """(images, I', h, w) to (images, O', h', w')."""
        return self._with_bias(self.convolve(x, self.sampled_weight()))


class IntegralConv1d(_IntegralLayer):
    """1-D convolution, (images, I, l) to (images, O, l')."""

    def __init__(
        self,
        inputs: AxisLike,
        outputs: AxisLike,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        has_bias: bool = True,
        seed: int | None = None,
    ) -> None:
        length = _length(inputs)
        shape = (_length(outputs), length, kernel_size)
        super().__init__(inputs, outputs, shape, length * kernel_size, has_bias, seed)
        self.kernel_size = kernel_size
        self.options = {
            "pad_mode": "pad",
            "pad": (0, 0, padding, padding),
            "stride": (1, stride),
            "dilation": (1, dilation),
        }

    def _layer(self, nn: Any) -> Any:
        outputs, inputs, kernel = self.weight.shape  # nn.Conv1d has (O, I, 1, k)
        return nn.Conv1d(
            inputs,
            outputs,
            kernel,
            stride=self.options["stride"][1],
            pad_mode="pad",
            padding=self.options["pad"][2],
            dilation=self.options["dilation"][1],
            has_bias=self.has_bias,
        )

    def construct(self, x: Any) -> Any:
        """(images, I', l) to (images, O', l')."""
        weight = ops().expand_dims(self.sampled_weight(), 2)
        y = ops().Conv2D(weight.shape[0], (1, self.kernel_size), **self.options)(
            ops().expand_dims(x, 2), weight
        )
        return ops().squeeze(self._with_bias(y), 2)


class IntegralConv2dTranspose(_IntegralLayer):
    """Transposed 2-D convolution, (images, I, h, w) to (images, O, h', w'); W is (I, O, kh, kw)."""

    input_dimension, output_dimension = 0, 1

    def __init__(
        self,
        inputs: AxisLike,
        outputs: AxisLike,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        has_bias: bool = True,
        seed: int | None = None,
    ) -> None:
        size = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        fan = max(1, _length(inputs) * math.prod(size) // stride**2)
        shape = (_length(inputs), _length(outputs), *size)
        super().__init__(inputs, outputs, shape, fan, has_bias, seed)
        self.kernel_size, self.stride, self.padding = size, stride, padding

    def _layer(self, nn: Any) -> Any:
        return nn.Conv2dTranspose(
            *self.weight.shape[:2],
            self.kernel_size,
            self.stride,
            pad_mode="pad",
            padding=self.padding,
            has_bias=self.has_bias,
        )

    def construct(self, x: Any) -> Any:
        """(images, I', h, w) to (images, O', h', w')."""
        weight = self.sampled_weight()
        extent = [
            (length - 1) * self.stride + kernel - 2 * self.padding
            for length, kernel in zip(x.shape[2:], self.kernel_size)
        ]
        # MindSpore's primitive is the gradient of a convolution with `weight` from O to I channels.
        transposed = ops().Conv2DTranspose(
            weight.shape[0], self.kernel_size, pad_mode="pad", pad=self.padding, stride=self.stride
        )
        y = transposed(x, weight, (x.shape[0], weight.shape[1], *extent))
        return self._with_bias(y)


class IntegralDense(_IntegralLayer):
    """Dense layer, (…, I) to (…, O)."""

    def __init__(
        self, inputs: AxisLike, outputs: AxisLike, has_bias: bool = True, seed: int | None = None
    ) -> None:
        shape = (_length(outputs), _length(inputs))
        super().__init__(inputs, outputs, shape, shape[1], has_bias, seed)

    def _layer(self, nn: Any) -> Any:
        outputs, inputs = self.weight.shape
        return nn.Dense(inputs, outputs, has_bias=self.has_bias)

    def construct(self, x: Any) -> Any:
        """(images, I') to (images, O')."""
        return self._with_bias(ops().matmul(x, self.sampled_weight().T))


class IntegralBatchNorm2d(_Cell):
    """Batch normalisation along a continuous axis: all of its parameters are functions of the channel.

    The moving averages are those of the full size; at other sizes they are sampled, and training uses the
    statistics of the batch. Behind a convolution, `IntegralConvNorm2d` is what an exported network does.
    """

    def __init__(self, channels: AxisLike, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__()
        count, parameter = _length(channels), mindspore().Parameter
        ones, noughts = np.ones(count, np.float32), np.zeros(count, np.float32)
        self.channels = channels
        self.momentum, self.epsilon = momentum, epsilon
        self.gamma = parameter(tensor(ones), name="gamma")
        self.beta = parameter(tensor(noughts), name="beta")
        self.moving_mean = parameter(tensor(noughts.copy()), name="moving_mean", requires_grad=False)
        self.moving_variance = parameter(tensor(ones.copy()), name="moving_variance", requires_grad=False)

    def discrete(self) -> Any:
        """MindSpore's own layer, with copies of the parameters."""
        layer = mindspore().nn.BatchNorm2d(len(self.gamma), eps=self.epsilon, momentum=self.momentum)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            getattr(layer, name).set_data(getattr(self, name))
        return layer

    def folded(self) -> tuple[Any, Any]:
        """Scale and shift by the moving averages, each (N,)."""
        scale = self.gamma / ops().sqrt(self.moving_variance + self.epsilon)
        return scale, self.beta - self.moving_mean * scale

    def construct(self, x: Any) -> Any:
        """(images, C', h, w) to the same."""
        gamma, beta, mean, variance = self.gamma, self.beta, self.moving_mean, self.moving_variance
        if not isinstance(self.channels, int) and self.channels.sampling is not None:
            gamma, beta, mean, variance = (
                _sampled(p, 0, self.channels) for p in (gamma, beta, mean, variance)
            )
            variance = ops().relu(variance)  # a cubic kernel may overshoot
        return ops().batch_norm(
            x, mean, variance, gamma, beta, self.training, 1 - self.momentum, self.epsilon
        )


class IntegralConvNorm2d(_Cell):
    """A convolution and its batch normalisation, which below full size are what the exporter makes of them.

    At full size they are one after the other. At other sizes the normalisation by the moving averages is
    folded into the control grid, and that is sampled: training sees the very network that a device builds.

    Parameters are those of `IntegralConv2d`, but for the bias.
    """

    def __init__(
        self,
        inputs: AxisLike,
        outputs: AxisLike,
        kernel_size: int | tuple[int, int],
        momentum: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__()
        self.convolution = IntegralConv2d(inputs, outputs, kernel_size, has_bias=False, **options)
        self.norm = IntegralBatchNorm2d(outputs, momentum)

    def discrete(self) -> Any:
        """MindSpore's own layers, with copies of the parameters."""
        return mindspore().nn.SequentialCell(self.convolution.discrete(), self.norm.discrete())

    def construct(self, x: Any) -> Any:
        """(images, I', h, w) to (images, O', h', w')."""
        convolution, outputs = self.convolution, self.convolution.outputs
        full = all(isinstance(a, int) or a.sampling is None for a in (convolution.inputs, outputs))
        if full:
            return self.norm(convolution(x))
        scale, shift = self.norm.folded()
        y = convolution.convolve(x, convolution.sampled_weight(ops().reshape(scale, (-1, 1, 1, 1))))
        return ops().bias_add(y, _sampled(shift, 0, outputs))
