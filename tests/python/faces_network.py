"""The ResNet-18 of the docs: 40 attributes of CelebA's faces at 64 pixels, as faces.onnx.

    pip install torch torchvision onnx onnxscript pillow
    python faces_network.py CELEBA OUT [--arch resnet18|mobilenet_v2] [--epochs 8]

CELEBA is a folder in CelebA's own layout: img_align_celeba, list_attr_celeba.txt and
list_eval_partition.txt. OUT gets faces.onnx, names.txt, labels.csv of the test faces, and these in
val/. Pixels are normalised by ImageNet's mean and deviation, so that the commands need neither
--mean nor --std. The layers are torchvision's own.
"""
import argparse
import csv
import pathlib
import shutil

import numpy
import torch
import torchvision
from PIL import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = 64


def pixels(path):
    """The largest centred square, at the network's size."""
    with Image.open(path) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
        return numpy.asarray(square.resize((SIZE, SIZE), Image.BILINEAR))


def read(folder, split):
    """Names, pixels [N, 3, H, W] as bytes, labels [N, 40], and the attributes' names."""
    lines = (folder / "list_attr_celeba.txt").read_text().splitlines()
    names = lines[1].split()
    labels = {row[0]: [int(value) > 0 for value in row[1:]] for row in map(str.split, lines[2:])}
    partition = map(str.split, (folder / "list_eval_partition.txt").read_text().splitlines())
    files = [row[0] for row in partition if int(row[1]) == split]
    images = numpy.stack([pixels(folder / "img_align_celeba" / file) for file in files])
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    return files, images, torch.tensor([labels[file] for file in files]).float(), names


def normalised(images):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images.float() / 255 - mean) / std


def network(arch):
    model = getattr(torchvision.models, arch)(weights=None, num_classes=40)
    return model.to(memory_format=torch.channels_last)


def accuracy(model, images, labels):
    model.eval()
    with torch.inference_mode():
        logits = torch.cat([model(normalised(part)) for part in images.split(100)])
    return ((logits > 0) == (labels > 0.5)).float().mean().item()


def train(model, images, labels, epochs, batch=64):
    steps = epochs * (len(images) // batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    loss_of = torch.nn.BCEWithLogitsLoss()
    for epoch in range(epochs):
        model.train()
        for part in torch.randperm(len(images)).split(batch):
            if len(part) < batch:
                continue
            x = normalised(images[part])
            x = x.flip(3) if torch.rand(()) < 0.5 else x
            loss = loss_of(model(x.contiguous(memory_format=torch.channels_last)), labels[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {epochs}: loss {loss.item():.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("celeba", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    _, images, labels, _ = read(args.celeba, 0)
    model = network(args.arch)
    train(model, images, labels, args.epochs)
    files, images, labels, names = read(args.celeba, 2)
    print(f"accuracy on {len(files)} test faces: {100 * accuracy(model, images, labels):.2f} %")
    (args.out / "val").mkdir(parents=True, exist_ok=True)
    (args.out / "names.txt").write_text("".join(f"{name}\n" for name in names))
    with open(args.out / "labels.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", *names])
        rows.writerows([name, *map(int, row)] for name, row in zip(files, labels.tolist()))
    for file in files:
        shutil.copy(args.celeba / "img_align_celeba" / file, args.out / "val" / file)
    batch = torch.export.Dim("batch")
    x = torch.zeros(2, 3, SIZE, SIZE)
    torch.onnx.export(model, (x,), args.out / "faces.onnx", dynamic_shapes=({0: batch},))


if __name__ == "__main__":
    main()
