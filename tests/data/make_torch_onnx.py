"""Make torch_*.onnx, the importer's fixtures, with both of PyTorch's exporters.

    python make_torch_onnx.py

Made with torch 2.13.0, onnx 1.23.2 and onnxscript 0.7.2. Weights and batch norm statistics are random
(seed 0); ONNX Runtime says in the tests what the files compute. `*-script-*` come from the TorchScript-based
exporter, `*-dynamo-*` from the newer one; the number is the opset, then `static` (batch 1), `batch8`
(static, with a reshape that holds the 8) or `dynamic`; `-raw` was not optimised: batch norms (and in
`script` Dropout and Identity) are still there.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parent
IMAGE = (3, 20, 24)


def convolution(inputs: int, outputs: int, kernel: int = 3, **options: int) -> nn.Sequential:
    """Convolution and batch norm; padded so that the extent only depends on the stride."""
    padding = options.get("dilation", 1) * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False, **options), nn.BatchNorm2d(outputs)
    )


class Residual(nn.Module):
    """Strided, dilated and depthwise convolutions in residual blocks, three activations, three pools."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 8, stride=2), nn.ReLU6(), nn.MaxPool2d(3, 1, 1))
        self.first, self.second = convolution(8, 6), convolution(6, 8, dilation=2)
        self.leaky = nn.LeakyReLU(0.1)
        self.shortcut = convolution(8, 12, kernel=1, stride=2)
        self.down, self.depthwise = convolution(8, 12, stride=2), convolution(12, 12, groups=12)
        self.pool = nn.AvgPool2d(2, ceil_mode=True)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(12, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.second(self.leaky(self.first(x))))
        x = self.leaky(self.shortcut(x) + self.depthwise(torch.relu(self.down(x))))
        return self.head(self.pool(x))


class Vgg(nn.Module):
    """A chain with biases whose head flattens a spatial extent; ``view`` as the old examples write it."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2),
            nn.Conv2d(6, 10, 3), nn.BatchNorm2d(10), nn.ReLU(), nn.AvgPool2d((2, 2)),
            nn.AdaptiveAvgPool2d((2, 5)),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Linear(100, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 5), nn.Softmax(dim=1), nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(x.view(x.size(0), -1))


class TwoHeads(nn.Module):
    """Two inputs, a product with a learnt constant, a mean that keeps its axes; a map and a vector out."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = convolution(3, 8), convolution(3, 8, kernel=1)
        self.scale = nn.Parameter(torch.rand(1, 8, 1, 1) + 0.5)
        self.gate = nn.Conv2d(8, 8, 1)
        self.map, self.vector = nn.Conv2d(8, 2, 3, padding=1), nn.Linear(8, 3, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.clamp(self.left(x) * self.scale + self.right(y) / 3 - 0.25, -1, 2)
        z = z * torch.sigmoid(self.gate(z.mean((2, 3), keepdim=True)))
        return self.map(z), self.vector(z.mean((2, 3)))


def build(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    network = kind().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.running_var):
                values.uniform_(0.5, 1.5)
            for values in (module.bias.data, module.running_mean):
                values.normal_(0, 0.3)
    return network


def make(kind: type[nn.Module], exporter: str, opset: int, batch: str, raw: bool = False) -> None:
    names = ["x", "y"] if kind is TwoHeads else ["x"]
    outputs = ["map", "vector"] if kind is TwoHeads else ["scores"]
    images = torch.randn(8 if batch == "batch8" else 1 if batch == "static" else 2, *IMAGE)
    path = FOLDER / f"torch_{kind.__name__.lower()}-{exporter}-{opset}-{batch}{'-raw' * raw}.onnx"
    options: dict = {"input_names": names, "output_names": outputs, "opset_version": opset}
    if exporter == "dynamo":
        options |= {"dynamo": True, "external_data": False, "verbose": False, "optimize": not raw}
        if batch == "dynamic":
            options["dynamic_shapes"] = tuple({0: torch.export.Dim("batch")} for _ in names)
    else:
        options["dynamo"] = False
        if raw:
            options |= {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        if batch == "dynamic":
            options["dynamic_axes"] = {name: {0: "batch"} for name in (*names, *outputs)}
    torch.onnx.export(build(kind), (images,) * len(names), path, **options)
    model = onnx.load(path)
    # Stack traces of this machine.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for info in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del info.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.save(model, path)
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    for arguments in (
        (Residual, "script", 11, "dynamic", True),
        (Residual, "script", 13, "static"),
        (Residual, "script", 17, "batch8", True),
        (Residual, "dynamo", 18, "dynamic", True),
        (Residual, "dynamo", 21, "static"),
        (Vgg, "script", 11, "batch8"),
        (Vgg, "script", 13, "dynamic", True),
        (Vgg, "script", 18, "static"),
        (Vgg, "dynamo", 18, "static"),
        (Vgg, "dynamo", 20, "batch8", True),
        (Vgg, "dynamo", 21, "dynamic", True),
        (TwoHeads, "script", 12, "dynamic", True),
        (TwoHeads, "dynamo", 19, "dynamic", True),
    ):
        make(*arguments)
