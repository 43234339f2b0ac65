"""Trains the PyTorch twin on a CelebA folder with the settings of a Foresee run and prints the accuracy on the same unseen faces.

    pip install torch numpy pillow
    python tests/python/train_twin.py RUN_FOLDER [--seeds 3] [--threads 2]

RUN_FOLDER is what `cargo xtask reproduce --out RUN_FOLDER` left; its manifest names the faces and the settings. Seeds 0, 1, … decide the initial weights and the order.
"""
import argparse
import json
import math
import pathlib
import sys

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "crates/model/tests/fixtures"))
from twin import Twin, loss  # noqa: E402


def faces(folder, size):
    rows = [line.split() for line in (folder / "list_attr_celeba.txt").read_text().splitlines()[2:]]
    part = dict(line.split() for line in (folder / "list_eval_partition.txt").read_text().splitlines())
    images = np.empty((len(rows), 3, size, size), dtype=np.float32)
    for at, row in enumerate(rows):
        image = Image.open(folder / "img_align_celeba" / row[0]).convert("RGB")
        w, h = image.size
        side = min(w, h)
        left, top = (w - side) / 2, (h - side) / 2
        image = image.resize((size, size), Image.BILINEAR, box=(left, top, left + side, top + side))
        images[at] = (np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5
    labels = np.array([[float(v == "1") for v in row[1:]] for row in rows], dtype=np.float32)
    parts = np.array([int(part[row[0]]) for row in rows])
    return torch.from_numpy(images), torch.from_numpy(labels), parts


def one_cycle(step, steps, peak, warmup):
    """Foresee's schedule, which a test holds against torch.optim.lr_scheduler.OneCycleLR."""
    start, end, last = peak / 25, peak / 25 / 1e4, max(steps - 1, 1)
    top = max(warmup * steps - 1, 0)
    half = lambda a, b, t: b + (a - b) / 2 * (1 + math.cos(math.pi * t))  # noqa: E731
    return half(start, peak, step / top if top > 0 else 1) if step <= top else half(peak, end, (step - top) / (last - top))


def train(seed, config, images, labels, chosen):
    torch.manual_seed(seed)
    settings, batch = config["train"], config["train"]["batch_size"]
    net = Twin(labels.shape[1], config["model"]["channels"])
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": settings["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, settings["learning_rate"])
    bf16 = config["model"]["precision"] == "bf16"
    per_epoch, step = len(chosen) // batch, 0
    for epoch in range(settings["epochs"]):
        order = chosen[torch.randperm(len(chosen))]
        for at in range(per_epoch):
            faces = order[at * batch : (at + 1) * batch]
            x = images[faces]
            if settings["flip"]:
                mirrored = torch.rand(batch) < 0.5
                x[mirrored] = x[mirrored].flip(3)
            for group in adam.param_groups:
                group["lr"] = one_cycle(step, per_epoch * settings["epochs"], settings["learning_rate"], settings["warmup"])
            adam.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                logits, l1 = net(x)
            value = loss(logits, l1, labels[faces], settings["lambda"])
            value.backward()
            adam.step()
            step += 1
        print(f"seed {seed}, epoch {epoch + 1}/{settings['epochs']}: loss {value.item():.3f}", file=sys.stderr)
    return net


def main():
    a = argparse.ArgumentParser()
    a.add_argument("run")
    a.add_argument("--seeds", type=int, default=3)
    a.add_argument("--threads", type=int, default=2)
    o = a.parse_args()
    torch.set_num_threads(o.threads)
    manifest = json.loads((pathlib.Path(o.run) / "manifest.json").read_text())
    config = manifest["config"]
    assert config["train"]["sparsity"] == "sum" and config["model"]["mask_kernel"] == 1 and config["model"]["readout"] == "linear"
    assert config["train"].get("crop", 1) == 1 and config["train"].get("average", 0) == 0 and config["model"].get("attention", True)
    # The twin knows none of these.
    options = ("sleep", "budget", "drop", "drop_correlated", "noise", "curve", "decorrelate", "variation", "mask_decay")
    assert all(config["train"].get(option, 0) == 0 for option in options), "the twin trains without options"
    images, labels, parts = faces(pathlib.Path(manifest["data"]["path"]), config["data"]["image_size"])
    chosen = torch.from_numpy(np.flatnonzero(parts < 2 if config["data"]["split"] == "paper" else parts == 0))
    chosen = chosen[: config["train"]["limit"] or None]
    test = torch.from_numpy(np.flatnonzero(parts == 2))
    found = []
    for seed in range(o.seeds):
        net = train(seed, config, images, labels, chosen).eval()
        with torch.no_grad():
            logits = torch.cat([net(images[faces])[0] for faces in test.split(50)])
        found.append(100 * ((logits > 0) == (labels[test] > 0.5)).float().mean().item())
        print(f"seed {seed}: {found[-1]:.2f} % of {len(test)} unseen faces")
    print(f"mean of {len(found)} seeds: {np.mean(found):.2f} %, {min(found):.2f} to {max(found):.2f}")


main()
