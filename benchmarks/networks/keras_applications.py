"""A network of `keras.applications` as an ONNX file, for `keras_networks.py`, whose environment runs this.

    python -m benchmarks.networks.keras_applications NAME FILE [--seed N]

Random weights, images of 96 x 96 pixels with the channels last, an open batch, no softmax.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np

SHAPE = (96, 96, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("name", help="of the function in keras.applications")
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    build = getattr(keras.applications, arguments.name)
    network = build(weights=None, input_shape=SHAPE, classes=10, classifier_activation=None)
    network(np.zeros((1, *SHAPE), np.float32))  # Keras writes no network that was never called
    network.export(arguments.file, format="onnx", verbose=False)


if __name__ == "__main__":
    main()
