"""The peer of `cargo xtask bench`: the same network, batch and threads in PyTorch, its attribution in Captum, or the loader in Pillow and NumPy.

    python peer.py --what train --size 64 --batch 8 [--bf16] [--threads 2]
    python peer.py --what train-run --size 32 --batch 32 --steps 6000
    python peer.py --what integrated-gradients --size 64 --batch 8
    python peer.py --what resnet18-gradient --size 224 --batch 8
    python peer.py --what loader --size 64 --faces FOLDER

Tries several ways, each in a process of its own, and prints the fastest as one line of JSON. With --kept-rows it also tries heads that compute only the rows of data/bench/kept_rows.json, and prints the speed of the fastest of these beside that of the dense ones. `train-run` is a whole training of --steps steps in f32 or bf16: the mean of some steps, times their number.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "crates/model/tests/fixtures"))


def peak_bytes():
    """Since the last reset on Linux, as our own side measures it; elsewhere of the whole process."""
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def on_cuda():
    """Rounds end when the GPU has done its work, and the peak is that of its tensors."""
    import torch

    def step(inner):
        inner()
        torch.cuda.synchronize()

    return step, torch.cuda.reset_peak_memory_stats, torch.cuda.max_memory_allocated


def rounds(step, reset=lambda: None, least=5, seconds=2.0):
    step()
    reset()
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    step()
    times, start = [], time.perf_counter()
    while len(times) < least or (time.perf_counter() - start < seconds and len(times) < 100):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return times


def kept_rows(heads):
    """The heads that compute only the rows which a trained network keeps, of each attribute the first ones."""
    import torch
    from torch.nn import functional as F

    path = pathlib.Path(__file__).resolve().parents[2] / "data/bench/kept_rows.json"
    counts = json.loads(path.read_text())["trained"]

    class KeptRows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            attribute = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
            channel = torch.cat([torch.arange(count) for count in counts])
            row = attribute * heads.channels + channel
            for name, value in {
                "attribute": attribute,
                "channel": channel,
                "weight": heads.mask.weight.detach()[row],
                "bias": heads.mask.bias.detach()[row],
                "readout": heads.readout.weight.detach()[attribute, channel],
                "readout_bias": heads.readout.bias.detach(),
            }.items():
                self.register_buffer(name, value)

        def forward(self, z):
            m = torch.sigmoid(F.conv2d(z, self.weight, self.bias))
            pooled = (m * z[:, self.channel]).mean((2, 3))
            products = pooled.to(self.readout.dtype) * self.readout
            return self.readout_bias.repeat(z.shape[0], 1).index_add(1, self.attribute, products)

    return KeptRows()


def network(o):
    import torch
    from twin import Twin, loss

    torch.manual_seed(0)
    torch.set_num_threads(o.threads)
    net = Twin()
    if o.way.startswith("kept rows"):
        net.heads = kept_rows(net.heads)
    x = torch.randn(o.batch, 3, o.size, o.size)
    y = (torch.rand(o.batch, 40) > 0.5).float()
    net, x, y = net.to(o.device), x.to(o.device), y.to(o.device)
    if "TF32" in o.way:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    elif o.device == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    if "channels-last" in o.way:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    f = torch.compile(net) if "compiled" in o.way else net
    adam = torch.optim.AdamW(net.parameters(), 1e-3)
    net.train(o.what != "infer")
    bf16 = "bf16" in o.way if o.what == "train-run" else o.bf16

    def train():
        adam.zero_grad(set_to_none=True)
        with torch.autocast(o.device, dtype=torch.bfloat16, enabled=bf16):
            logits, l1 = f(x)
        loss(logits, l1, y).backward()
        adam.step()

    def infer():
        with torch.no_grad(), torch.autocast(o.device, dtype=torch.bfloat16, enabled=bf16):
            f(x)

    return infer if o.what == "infer" else train


def attribution(o):
    import torch
    from captum import attr
    from twin import Twin

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.twin = Twin()

        def forward(self, x):
            return self.twin(x)[0]

    torch.manual_seed(0)
    torch.set_num_threads(o.threads)
    net, x = Logits().eval().to(o.device), torch.randn(o.batch, 3, o.size, o.size, device=o.device)
    if o.way == "Captum, channels-last":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    explain = {
        "sensitivity": lambda: attr.Saliency(net).attribute(x, target=20),
        "input-x-gradient": lambda: attr.InputXGradient(net).attribute(x, target=20),
        "smooth-grad": lambda: attr.NoiseTunnel(attr.Saliency(net)).attribute(x, nt_type="smoothgrad", nt_samples=10, nt_samples_batch_size=1, stdevs=0.15, target=20),
        "integrated-gradients": lambda: attr.IntegratedGradients(net).attribute(x, target=20, n_steps=10, internal_batch_size=o.batch),
        "grad-cam": lambda: attr.LayerGradCam(net, net.twin.extractor).attribute(x, 20, relu_attributions=True),
    }
    return explain[o.what]


def resnet(o):
    """ResNet-18 of torchvision with drawn weights, or ResNet-50 in pytorch-grad-cam."""
    import torch
    from torchvision import models

    torch.manual_seed(0)
    torch.set_num_threads(o.threads)
    net = (models.resnet50 if o.what == "resnet50-grad-cam" else models.resnet18)(weights=None).eval().to(o.device)
    x = torch.randn(o.batch, 3, o.size, o.size, device=o.device)
    if "channels-last" in o.way:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if o.what == "resnet50-grad-cam":
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        cam = GradCAM(model=net, target_layers=[net.layer4])
        return lambda: cam(input_tensor=x, targets=[ClassifierOutputTarget(0)] * o.batch)
    f = torch.compile(net) if "compiled" in o.way else net
    net.requires_grad_(False)

    def forward():
        with torch.no_grad():
            f(x)

    def gradient():
        images = x.detach().requires_grad_()
        f(images)[:, 0].sum().backward()

    return forward if o.what == "resnet18-forward" else gradient


RESNETS = ["resnet18-forward", "resnet18-gradient", "resnet50-grad-cam"]
ATTRIBUTION = ["sensitivity", "input-x-gradient", "smooth-grad", "integrated-gradients", "grad-cam"]


def loader(o):
    import numpy as np
    from PIL import Image

    paths = sorted(pathlib.Path(o.faces).glob("*.jpg"))
    o.batch = len(paths)

    def load():
        for path in paths:
            image = Image.open(path).convert("RGB")
            w, h = image.size
            side = min(w, h)
            left, top = (w - side) / 2, (h - side) / 2
            image = image.resize((o.size, o.size), Image.BILINEAR, box=(left, top, left + side, top + side))
            pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255
            np.ascontiguousarray((pixels - 0.5) / 0.5)

    return load


def measure(o):
    make = loader if o.what == "loader" else attribution if o.what in ATTRIBUTION else resnet if o.what in RESNETS else network
    work = make(o)
    # No step of a dense training differs from another, so fewer are measured than at a point on our own side.
    least, typical = (20, statistics.mean) if o.what == "train-run" else (5, statistics.median)
    if o.device == "cuda" and o.what != "loader":
        synchronized, reset, peak = on_cuda()
        times = rounds(lambda: synchronized(work), reset, least)
    else:
        times, peak = rounds(work, least=least), peak_bytes
    return {
        "way": o.way,
        "median_ms": typical(times) * o.steps * 1e3,
        "min_ms": min(times) * o.steps * 1e3,
        "images_per_s": o.batch / typical(times),
        "peak_bytes": peak(),
    }


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--what", choices=["train", "train-run", "infer", "loader", *ATTRIBUTION, *RESNETS], required=True)
    a.add_argument("--size", type=int, default=64)
    a.add_argument("--batch", type=int, default=8)
    a.add_argument("--steps", type=int, default=1)
    a.add_argument("--bf16", action="store_true")
    a.add_argument("--kept-rows", action="store_true", help="with infer: also ways that compute only the rows that a trained network keeps")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    a.add_argument("--faces")
    a.add_argument("--way")
    o = a.parse_args()
    if o.way:
        print(json.dumps(measure(o)))
        return
    ways, found = ["eager", "channels-last", "compiled"], []
    if o.device == "cuda":
        ways += ["compiled, channels-last"]
        ways += [] if o.bf16 else [f"{way}, TF32" for way in ways]
    if o.what == "train-run":
        ways = [f"{way}, {precision}" for way in ways for precision in ("f32", "bf16")]
    elif o.what == "loader":
        ways = ["Pillow and NumPy"]
    elif o.what in ATTRIBUTION:
        ways = ["Captum", "Captum, channels-last"]
    elif o.what == "resnet50-grad-cam":
        ways = ["eager", "channels-last"]
    if o.kept_rows:
        ways += [f"kept rows, {way}" for way in ways]
    for way in ways:
        child = subprocess.run([sys.executable, *sys.argv, "--way", way], capture_output=True, text=True)
        if child.returncode == 0:
            found.append(json.loads(child.stdout.strip().splitlines()[-1]))
        else:
            print(f"{way}: {child.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    speeds = {m["way"]: m["images_per_s"] for m in found}
    kept = [speed for way, speed in speeds.items() if way.startswith("kept rows")]
    dense = [m for m in found if not m["way"].startswith("kept rows")]
    if not dense:
        sys.exit("no way worked")
    fastest = max(dense, key=lambda m: m["images_per_s"])
    fastest |= {"kept_rows_images_per_s": max(kept)} if kept else {}
    print(json.dumps({**fastest, "ways": speeds}))


main()
