"""Trains the `cats-vs-dogs` classifier and exports it to ONNX.

    python cats_vs_dogs.py path/to/cats-and-dogs.tar --out model.onnx

The tar holds `cats-and-dogs/{train,validation}/{cat,dog}/*.jpg`, 128x128 pixels each. Pictures are read
straight from the tar into memory (about 1.2 GB). The validation pictures are only looked at to print the
accuracy, and once to choose SIZE_SERVED: no epoch is picked by it, the exported weights are always the last.
"""

import argparse
import io
import tarfile
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

LABELS = ["cat", "dog"]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Width and height of the network's input, in pixels. Training cuts parts out and enlarges them, so that cats and
# dogs look larger to it than in whole pictures; served, the network gets more pixels to make up for that.
SIZES_TRAINED = [64, 80, 96]
SIZE_SERVED = 128
WIDTHS = [32, 64, 112, 160]  # channels of the four stages; each stage after the first halves the picture
DEPTHS = [1, 2, 2, 1]  # residual blocks of each stage
BATCH = 128
PEAK_LEARNING_RATE = 0.15
WEIGHT_DECAY = 5e-4


# ---------------------------------------------------------------- pictures

def read_pictures(tar_path):
    """Returns {"train": (pictures, labels), "validation": ...}; pictures are uint8, N x 128 x 128 x 3."""
    splits = {"train": ([], []), "validation": ([], [])}
    with tarfile.open(tar_path) as tar:
        members = sorted((m for m in tar if m.name.endswith(".jpg")), key=lambda m: m.name)
        for member in members:
            _, split, label, _ = member.name.split("/")
            picture = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            splits[split][0].append(np.asarray(picture))
            splits[split][1].append(LABELS.index(label))
    return {s: (torch.from_numpy(np.stack(p)), torch.tensor(l)) for s, (p, l) in splits.items()}


def resize(pictures, size, mode):
    """uint8 N x H x W x 3 -> uint8 N x 3 x size x size."""
    return F.interpolate(pictures.permute(0, 3, 1, 2), (size, size), mode=mode, antialias=True)


def normalise(pictures):
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    std = torch.tensor(STD).view(1, 3, 1, 1)
    return (pictures.float() / 255 - mean) / std


def random_crops(pictures, size, smallest, rng):
    """Cuts a random part out of each picture and scales it to `size`.

    Sixteen pictures share a crop size and a resize kernel, so that they can be scaled together. The kernel
    is random because whoever serves the model resizes with another library than this one.
    """
    parts = []
    for group in pictures.split(16):
        side = rng.uniform(smallest, 1)
        stretch = rng.uniform(0.85, 1.18) ** 0.5
        height, width = (min(128, round(128 * side * f)) for f in (stretch, 1 / stretch))
        tops = rng.integers(0, 129 - height, len(group))
        lefts = rng.integers(0, 129 - width, len(group))
        crops = [p[t : t + height, l : l + width] for p, t, l in zip(group, tops, lefts)]
        parts.append(resize(torch.stack(crops), size, rng.choice(["bilinear", "bicubic"])))
    return torch.cat(parts)


def augment(pictures, size, gentle, rng):
    """A random view of each picture: crop, flip, light and colour, one square cut out."""
    x = normalise(random_crops(pictures, size, 0.85 if gentle else 0.6, rng))
    count = len(x)
    flipped = torch.from_numpy(rng.random(count) < 0.5)
    x[flipped] = x[flipped].flip(3)

    def factor(low, high):
        return torch.from_numpy(rng.uniform(low, high, (count, 1, 1, 1)).astype(np.float32))

    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * factor(0.6, 1.4)  # saturation
    x = x * factor(0.75, 1.3) + factor(-0.4, 0.4)  # contrast, brightness
    if not gentle:
        half = size // 6
        for picture, cy, cx in zip(x, rng.integers(0, size, count), rng.integers(0, size, count)):
            picture[:, max(0, cy - half) : cy + half, max(0, cx - half) : cx + half] = 0
    return x.contiguous(memory_format=torch.channels_last)


# ---------------------------------------------------------------- network

class Block(nn.Module):
    """The basic residual block: two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def build_network():
    layers = [nn.Conv2d(3, WIDTHS[0], 5, 2, 2, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU()]
    inputs = WIDTHS[0]
    for stage, (width, depth) in enumerate(zip(WIDTHS, DEPTHS)):
        for block in range(depth):
            layers.append(Block(inputs, width, 2 if stage > 0 and block == 0 else 1))
            inputs = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, len(LABELS))]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


# ---------------------------------------------------------------- training

def accuracy(network, pictures, labels, size):
    network.eval()
    with torch.no_grad():
        found = [
            network(normalise(resize(part, size, "bicubic")).contiguous(memory_format=torch.channels_last)).argmax(1)
            for part in pictures.split(250)
        ]
    return (torch.cat(found) == labels).float().mean().item()


def train(data, epochs, seed, build=build_network, sizes=SIZES_TRAINED):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    pictures, labels = data["train"]
    network = build()
    # The exported weights are a running average of those of the last steps.
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0}],
        lr=PEAK_LEARNING_RATE, momentum=0.9, nesterov=True,
    )
    steps_per_epoch = len(pictures) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_LEARNING_RATE, total_steps=epochs * steps_per_epoch, pct_start=0.15, cycle_momentum=False
    )
    started = time.time()
    for epoch in range(epochs):
        # Small pictures first, full size later: cheaper, and no worse. The last tenth sees nearly whole
        # pictures, as the served model will.
        progress = epoch / epochs
        size = sizes[0 if progress < 0.4 else 1 if progress < 0.75 else 2]
        gentle = progress >= 0.9
        network.train()
        order = torch.from_numpy(rng.permutation(len(pictures)))
        total = 0.0
        for step in range(steps_per_epoch):
            picked = order[step * BATCH : (step + 1) * BATCH]
            x, y = augment(pictures[picked], size, gentle, rng), labels[picked]
            # The 16-bit format brain float makes convolutions half again as fast on processors that know it.
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(x)
            loss = F.cross_entropy(logits.float(), y, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            averaged.update_parameters(network)
            total += loss.item()
        shown = accuracy(averaged.module, *data["validation"], size)
        print(
            f"epoch {epoch + 1}/{epochs} size {size} loss {total / steps_per_epoch:.4f} "
            f"validation {shown:.4f} {time.time() - started:.0f} s",
            flush=True,
        )
    return averaged.module


def export(network, path, size=SIZE_SERVED):
    """Evaluation mode and constant folding melt the batch norms into the convolutions."""
    network = network.eval().to(memory_format=torch.contiguous_format)
    torch.onnx.export(
        network, torch.zeros(1, 3, size, size), path,
        dynamo=False, opset_version=17, do_constant_folding=True, input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tar")
    parser.add_argument("--out", default="model.onnx")
    parser.add_argument("--epochs", type=int, default=34)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(2)
    data = read_pictures(args.tar)
    print({split: len(labels) for split, (_, labels) in data.items()}, flush=True)
    network = train(data, args.epochs, args.seed)
    print("weights", sum(p.numel() for p in network.parameters()))
    print(f"validation at {SIZE_SERVED} pixels {accuracy(network, *data['validation'], SIZE_SERVED):.4f}")
    export(network, args.out)


if __name__ == "__main__":
    main()
