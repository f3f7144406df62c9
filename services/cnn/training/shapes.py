"""Draws pictures of one shape each, trains the `shapes` classifier on them and exports it to ONNX.

    python shapes.py --out model.onnx

A picture is a square of 96 to 256 pixels: one filled shape, without an outline, on a plain background. The
limits below are a little wider than what a painter should use, so that the model is at ease in between.
"""

import argparse
import io
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

LABELS = ["circle", "square", "triangle", "star"]
SIZE = 64  # width and height of the network's input, in pixels
MEAN, STD = 0.5, 0.25
BATCH = 128

PICTURE_SIDE = (96, 257)  # pixels, the upper end excluded
RADIUS = (0.18, 0.44)  # of the circle around the shape, as a part of the picture's side
STAR_INNER_RADIUS = (0.36, 0.52)  # of the star's dents, as a part of its radius
LEAST_CONTRAST = 80  # distance of the shape's colour to the background's, in RGB space (0 to 441)
NOISE = (0, 10)  # standard deviation of the noise, in steps of 255
JPEG_QUALITY = (50, 96)  # of the half of the pictures that pass through JPEG
OVERSAMPLING = 3  # edges are smoothed by drawing larger and averaging
KERNELS = [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX]


# ---------------------------------------------------------------- pictures

def corners(label, x, y, radius, turn, rng):
    """The shape's corners; all shapes but the star are regular polygons in the circle around (x, y)."""
    count = {"square": 4, "triangle": 3, "star": 10}[label]
    inner = rng.uniform(*STAR_INNER_RADIUS) if label == "star" else 1
    points = []
    for i in range(count):
        r = radius * (inner if i % 2 else 1)
        angle = turn + 2 * math.pi * i / count
        points.append((x + r * math.cos(angle), y + r * math.sin(angle)))
    return points


def colours(rng):
    while True:
        shape, background = rng.uniform(0, 255, (2, 3))
        if np.linalg.norm(shape - background) >= LEAST_CONTRAST:
            return shape, background


def paint(label, rng):
    """One picture as a Pillow image of a random side."""
    side = int(rng.integers(*PICTURE_SIDE))
    radius = side * rng.uniform(*RADIUS)
    x, y = rng.uniform(radius, side - radius, 2)  # the whole shape lies inside the picture
    mask = Image.new("L", (side * OVERSAMPLING,) * 2)
    draw = ImageDraw.Draw(mask)
    if label == "circle":
        draw.ellipse([OVERSAMPLING * v for v in (x - radius, y - radius, x + radius, y + radius)], fill=255)
    else:
        points = corners(label, x, y, radius, rng.uniform(0, 2 * math.pi), rng)
        draw.polygon([(OVERSAMPLING * px, OVERSAMPLING * py) for px, py in points], fill=255)
    cover = np.asarray(mask.reduce(OVERSAMPLING), np.float32)[..., None] / 255
    shape, background = colours(rng)
    picture = cover * shape + (1 - cover) * background
    picture += rng.normal(0, rng.uniform(*NOISE), picture.shape)
    return Image.fromarray(picture.round().clip(0, 255).astype(np.uint8))


def sample(count, seed):
    """Pictures as the network gets them (uint8, N x 3 x SIZE x SIZE) and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(LABELS), count)
    pictures = []
    for label in labels:
        picture = paint(LABELS[label], rng)
        if rng.random() < 0.5:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=int(rng.integers(*JPEG_QUALITY)))
            picture = Image.open(file)
        pictures.append(np.asarray(picture.resize((SIZE, SIZE), KERNELS[rng.integers(len(KERNELS))])))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)


def normalise(pictures):
    return (pictures.float() / 255 - MEAN) / STD


# ---------------------------------------------------------------- network and training

def build_network():
    layers, inputs = [], 3
    for outputs, kernel in ((16, 5), (24, 3), (40, 3), (64, 3)):  # each halves the picture: 64 -> 4
        layers += [
            nn.Conv2d(inputs, outputs, kernel, 2, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        ]
        inputs = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, len(LABELS))]
    return nn.Sequential(*layers)


def accuracy(network, pictures, labels):
    network.eval()
    with torch.no_grad():
        return (network(normalise(pictures)).argmax(1) == labels).float().mean().item()


def train(pictures, labels, held_out, epochs, seed):
    torch.manual_seed(seed)
    network = build_network()
    steps = len(pictures) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=epochs * steps)
    for epoch in range(epochs):
        network.train()
        order = torch.randperm(len(pictures))
        for step in range(steps):
            picked = order[step * BATCH : (step + 1) * BATCH]
            x = normalise(pictures[picked])
            x = torch.rot90(x, int(torch.randint(4, ())), (2, 3))  # a turned shape is the same shape
            loss = F.cross_entropy(network(x), labels[picked], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{epochs} held-out accuracy {accuracy(network, *held_out):.4f}", flush=True)
    return network


def export(network, path):
    """Evaluation mode and constant folding melt the batch norms into the convolutions."""
    torch.onnx.export(
        network.eval(), torch.zeros(1, 3, SIZE, SIZE), path, dynamo=False, opset_version=17, do_constant_folding=True,
        input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="model.onnx")
    parser.add_argument("--pictures", type=int, default=16000)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    pictures, labels = sample(args.pictures, args.seed)
    network = train(pictures, labels, sample(2000, args.seed + 1), args.epochs, args.seed)
    print("weights", sum(p.numel() for p in network.parameters()))
    export(network, args.out)


if __name__ == "__main__":
    main()
