"""Networks from PyTorch as ONNX files, for `zoo.py`: torchvision's, and some that it lacks.

    python -m benchmarks.networks.torch_networks FOLDER NAME …

Needs torch and torchvision, which nothing else here does: on Debian, ``apt install python3-torchvision`` and
Debian's own ``python3``. Weights are PyTorch's random initialisation from a seed; batch norms hold the
statistics of seeded noise, so that activations keep their scale.
"""

from __future__ import annotations

import argparse
import math
from functools import partial
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.nn import functional

OPSET = 17


def conv(inputs: int, outputs: int, kernel: int = 3, **options: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class UNet(nn.Module):
    """Ronneberger et al. 2015, with padding, batch norm and a quarter of the channels."""

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128)) -> None:
        super().__init__()
        before = (3, *widths)
        self.down = nn.ModuleList(nn.Sequential(conv(a, b), conv(b, b)) for a, b in zip(before, widths))
        pairs = list(zip(widths[::-1], widths[-2::-1]))
        self.raise_ = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(nn.Sequential(conv(2 * b, b), conv(b, b)) for _, b in pairs)
        self.head = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skipped = []
        for index, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if index else x)
            skipped.append(x)
        for enlarge, block, skip in zip(self.raise_, self.up, skipped[-2::-1]):
            x = block(torch.cat([skip, enlarge(x)], 1))
        return self.head(x)


def nin() -> nn.Module:
    """Network in Network for CIFAR-10: Lin et al. 2014."""

    def mlp(inputs: int, *widths: int, kernel: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for index, (a, b) in enumerate(zip((inputs, *widths), widths)):
            size = 1 if index else kernel
            layers += [nn.Conv2d(a, b, size, padding=size // 2), nn.ReLU()]
        return layers

    pool = partial(nn.MaxPool2d, 3, 2, ceil_mode=True), partial(nn.AvgPool2d, 3, 2, ceil_mode=True)
    layers = [*mlp(3, 192, 160, 96, kernel=5), pool[0](), nn.Dropout()]
    layers += [*mlp(96, 192, 192, 192, kernel=5), pool[1](), nn.Dropout()]
    layers += [*mlp(192, 192, 192, 10, kernel=3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


def srcnn() -> nn.Module:
    """Dong et al. 2014, on the luminance of an enlarged image."""
    layers = nn.Conv2d(1, 64, 9, padding=4), nn.Conv2d(64, 32, 5, padding=2), nn.Conv2d(32, 1, 5, padding=2)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


class Edsr(nn.Module):
    """EDSR baseline, Lim et al. 2017: blocks without batch norm, pixel shuffles."""

    def __init__(self, factor: int = 4, width: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
            )
            for _ in range(blocks)
        )
        self.last = nn.Conv2d(width, width, 3, padding=1)
        steps = int(math.log2(factor))
        self.tail = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2))
                for _ in range(steps)
            ),
            nn.Conv2d(width, 3, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x)
        y = x
        for block in self.body:
            y = y + block(y)
        return self.tail(x + self.last(y))


class Bert(nn.Module):
    """BERT's encoder, Devlin et al. 2019, smaller: norm after the sum, erf GELU, pooled first token.

    It takes embedded tokens, (batch, tokens, width).
    """

    def __init__(self, width: int = 128, heads: int = 4, layers: int = 3) -> None:
        super().__init__()
        self.heads = heads
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    **{name: nn.Linear(width, width) for name in ("query", "key", "value", "output")},
                    "norm": nn.LayerNorm(width, eps=1e-12),
                    "intermediate": nn.Linear(width, 4 * width),
                    "down": nn.Linear(4 * width, width),
                    "last_norm": nn.LayerNorm(width, eps=1e-12),
                }
            )
            for _ in range(layers)
        )
        self.pooler = nn.Linear(width, width)
        self.classifier = nn.Linear(width, 5)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.size(0), x.size(1), self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            query, key, value = (self.split(layer[name](x)) for name in ("query", "key", "value"))
            scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(query.size(-1))
            found = torch.matmul(functional.softmax(scores, dim=-1), value).permute(0, 2, 1, 3)
            found = layer["output"](found.reshape(found.size(0), found.size(1), -1))
            x = layer["norm"](found + x)
            x = layer["last_norm"](layer["down"](functional.gelu(layer["intermediate"](x))) + x)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


class CifarResNet(nn.Module):
    """ResNet-20 for CIFAR-10 with zero-padded shortcuts: He et al. 2015, option A."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 16)
        widths = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(a, b, stride=s), nn.Conv2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b))
            for a, b, s in widths
        )
        self.widths = widths
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block, (inputs, outputs, stride) in zip(self.blocks, self.widths):
            more = (outputs - inputs) // 2
            shortcut = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more, more)) if stride == 2 else x
            x = functional.relu(block(x) + shortcut)
        return self.head(x.mean((2, 3)))


class StyleTransfer(nn.Module):
    """Johnson et al. 2016: instance norm, reflection padding, nearest-neighbour enlargement."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
            pad, norm = nn.ReflectionPad2d(kernel // 2), nn.InstanceNorm2d(outputs, affine=True)
            return nn.Sequential(pad, nn.Conv2d(inputs, outputs, kernel, stride), norm)

        relu, up = nn.ReLU(), nn.Upsample(scale_factor=2, mode="nearest")
        self.encoder = nn.Sequential(
            layer(3, width, 9), relu, layer(width, 2 * width, 3, 2), relu, layer(2 * width, 4 * width, 3, 2)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(layer(4 * width, 4 * width, 3), relu, layer(4 * width, 4 * width, 3))
            for _ in range(3)
        )
        self.decoder = nn.Sequential(
            up, layer(4 * width, 2 * width, 3), relu, up, layer(2 * width, width, 3), relu
        )
        self.last = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(width, 3, 9), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.encoder(x))
        for block in self.blocks:
            x = x + block(x)
        return self.last(self.decoder(x))


class GroupNormResNet(nn.Module):
    """ResNet-18's blocks with group norm (Wu and He 2018) before each convolution."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(8, width),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.GroupNorm(8, width),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(3)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.mean((2, 3)))


def keyword_spotter() -> nn.Module:
    """A 1-D convolutional network on 40 features of 98 frames."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((40, 64, 1), (64, 64, 2), (64, 96, 2)):
        layers += [
            nn.Conv1d(inputs, outputs, 5, stride, padding=2, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(96, 12))


MODELS = torchvision.models
NETWORKS = {
    "resnet18": (partial(MODELS.resnet18), (3, 64, 64)),
    "resnet50": (partial(MODELS.resnet50), (3, 64, 64)),
    "vgg11": (partial(MODELS.vgg11), (3, 224, 224)),
    "vgg19": (partial(MODELS.vgg19), (3, 224, 224)),
    "densenet121": (partial(MODELS.densenet121), (3, 64, 64)),
    "squeezenet1_1": (partial(MODELS.squeezenet1_1), (3, 64, 64)),
    "googlenet": (partial(MODELS.googlenet, aux_logits=False, init_weights=True), (3, 64, 64)),
    "inception_v3": (partial(MODELS.inception_v3, aux_logits=False, init_weights=False), (3, 96, 96)),
    "shufflenet_v2_x1_0": (partial(MODELS.shufflenet_v2_x1_0), (3, 64, 64)),
    "mobilenet_v2": (partial(MODELS.mobilenet_v2), (3, 64, 64)),
    "mobilenet_v3_small": (partial(MODELS.mobilenet_v3_small), (3, 64, 64)),
    "efficientnet_b0": (partial(MODELS.efficientnet_b0), (3, 64, 64)),
    "regnet_x_400mf": (partial(MODELS.regnet_x_400mf), (3, 64, 64)),
    "regnet_y_400mf": (partial(MODELS.regnet_y_400mf), (3, 64, 64)),
    "convnext_tiny": (partial(MODELS.convnext_tiny), (3, 64, 64)),
    "vit_b_16": (partial(MODELS.vit_b_16, image_size=64), (3, 64, 64)),
    "swin_t": (partial(MODELS.swin_t), (3, 64, 64)),
    "deeplabv3_mobilenet_v3": (
        partial(MODELS.segmentation.deeplabv3_mobilenet_v3_large, weights_backbone=None, num_classes=3),
        (3, 64, 64),
    ),
    "unet": (UNet, (3, 64, 64)),
    "nin": (nin, (3, 32, 32)),
    "srcnn": (srcnn, (1, 48, 48)),
    "edsr_x4": (Edsr, (3, 24, 24)),
    "bert": (Bert, (16, 128)),
    "cifar_resnet20": (CifarResNet, (3, 32, 32)),
    "style_transfer": (StyleTransfer, (3, 64, 64)),
    "groupnorm_resnet": (GroupNormResNet, (3, 32, 32)),
    "conv1d": (keyword_spotter, (40, 98)),
}


def write(name: str, path: Path, seed: int = 0) -> None:
    """One network of `NETWORKS` as an ONNX file with an open batch."""
    build, shape = NETWORKS[name]
    torch.manual_seed(seed)
    network = build()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1 and not parameter.any():  # torchvision's transformers start with no answer
                nn.init.normal_(parameter, std=0.02)
        for layer in network.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                layer.momentum = None  # a plain mean
        network.train()(torch.randn(4, *shape))
    network.eval()
    # With gradients, else attention is one operator that ONNX does not have.
    torch.onnx.export(
        network,
        torch.randn(1, *shape),
        str(path),
        opset_version=OPSET,
        input_names=["x"],
        dynamic_axes={"x": {0: "batch"}},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)} (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NETWORKS:
        path = arguments.folder / f"{name}.onnx"
        try:
            write(name, path, arguments.seed)
        except Exception as error:  # PyTorch's exporter: says why, and goes on with the next
            print(f"{name}: PyTorch cannot write it as ONNX: {str(error).splitlines()[0]}", flush=True)
            path.unlink(missing_ok=True)
        else:
            print(path, flush=True)


if __name__ == "__main__":
    main()
