"""Trains the `cats-vs-dogs-small` classifier and exports it to ONNX: a second opinion, of another build than `cats-vs-dogs`.

    python cats_vs_dogs_small.py path/to/cats-and-dogs.tar --out model.onnx

A plain stack of convolutions without shortcuts, a quarter of the weights, a quarter of the pixels; the pictures and the
way they are shown to it are those of `cats_vs_dogs.py`. No epoch and no size is picked by the validation pictures.
"""

import argparse

import torch
import torch.nn as nn

from cats_vs_dogs import LABELS, accuracy, export, read_pictures, train

SIZES_TRAINED = [40, 48, 56]
SIZE_SERVED = 64  # width and height of the network's input, in pixels
LAYERS = [  # channels, stride, width of the kernel
    (24, 2, 5), (40, 2, 3), (40, 1, 3), (64, 2, 3), (64, 1, 3), (96, 2, 3), (96, 1, 3),
]


def build_network():
    layers, inputs = [], 3
    for channels, stride, kernel in LAYERS:
        layers += [
            nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
        ]
        inputs = channels
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, len(LABELS))]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tar")
    parser.add_argument("--out", default="model.onnx")
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = read_pictures(args.tar)
    network = train(data, args.epochs, args.seed, build_network, SIZES_TRAINED)
    print("weights", sum(p.numel() for p in network.parameters()))
    print(f"validation at {SIZE_SERVED} pixels {accuracy(network, *data['validation'], SIZE_SERVED):.4f}")
    export(network, args.out, SIZE_SERVED)


if __name__ == "__main__":
    main()
