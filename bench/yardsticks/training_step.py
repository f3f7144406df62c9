"""The training step of PyTorch for bench/cnn-training.ts: reads a line per step from standard input, answers with its milliseconds.

The network is `standard`; arguments: pictures of a batch, width of a picture, threads.
"""

import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTHS, DEPTHS = [32, 64, 112, 160], [1, 2, 2, 1]


def unit(inputs, outputs, kernel, stride):
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = unit(inputs, outputs, 3, stride)
        self.second = unit(outputs, outputs, 3, 1)
        self.shortcut = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(nn.AvgPool2d(stride), unit(inputs, outputs, 1, 1))

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def build():
    layers = [unit(3, WIDTHS[0], 5, 2), nn.ReLU()]
    inputs = WIDTHS[0]
    for stage, (width, depth) in enumerate(zip(WIDTHS, DEPTHS)):
        for block in range(depth):
            layers.append(Block(inputs, width, 2 if stage > 0 and block == 0 else 1))
            inputs = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 2)]
    return nn.Sequential(*layers)


def main():
    batch, size, threads = map(int, sys.argv[1:4])
    torch.set_num_threads(threads)
    # Its faster layout of memory.
    network = build().to(memory_format=torch.channels_last)
    x = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    y = torch.arange(batch) % 2
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for _ in sys.stdin:
        started = time.perf_counter()
        loss = F.cross_entropy(network(x), y, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        print((time.perf_counter() - started) * 1000, flush=True)


main()
