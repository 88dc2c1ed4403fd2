"""Networks in which one layer is applied to several inputs."""

from __future__ import annotations

from networks import Network


def siamese() -> Network:
    """|f(a) - f(b)| and f(a), with a normalisation in f that is folded."""
    n = Network()
    kernels = [
        n.weight(16, 3, 3, 3),
        n.weight(16, 16, 3, 3),
        n.weight(24, 16),
        n.weight(24),
        n.weight(12, 24),
    ]
    scale, shift, zeros = n.weight(16), n.weight(16), n.constant([0.0] * 16)
    ones = n.constant([1.0] * 16)

    def embedding(x: str) -> str:
        x = n.node("Conv", x, kernels[0], pads=[1] * 4, strides=[2, 2])
        x = n.relu(n.node("BatchNormalization", x, scale, shift, zeros, ones))
        x = n.relu(n.node("Conv", x, kernels[1], pads=[1] * 4))
        x = n.node("Flatten", n.node("GlobalAveragePool", x))
        x = n.relu(n.node("Gemm", x, kernels[2], kernels[3], transB=1))
        return n.node("Gemm", x, kernels[4], transB=1)

    a, b = (n.input(3, 12, 12, name=name) for name in "ab")
    first, second = embedding(a), embedding(b)
    n.output(n.node("Abs", n.node("Sub", first, second)), 2)
    n.output(first, 2)
    return n


def pyramid(levels: int = 3) -> Network:
    """A head of two convolutions, depthwise ones between them, on levels of several resolutions."""
    n = Network()
    head = [n.weight(20, 16, 3, 3), n.weight(20), n.weight(20, 1, 3, 3), n.weight(5, 20, 1, 1)]
    x = n.input(3, 16, 16)
    outputs = []
    for level in range(levels):
        x = n.relu(n.conv(x, 16 if level else 3, 16, strides=[2 if level else 1] * 2))
        y = n.relu(n.node("Conv", x, head[0], head[1], pads=[1] * 4))
        y = n.relu(n.node("Conv", y, head[2], pads=[1] * 4, group=20))
        outputs.append(n.node("Conv", y, head[3]))
    for y in outputs:
        n.output(y, 4)
    return n


def twice() -> Network:
    """A block that reads what it wrote."""
    n = Network()
    kernel, bias = n.weight(16, 16, 3, 3), n.weight(16)
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 16))
    for _ in range(2):
        x = n.relu(n.node("Conv", x, kernel, bias, pads=[1] * 4))
    n.output(n.conv(x, 16, 4, kernel=1), 4)
    return n
