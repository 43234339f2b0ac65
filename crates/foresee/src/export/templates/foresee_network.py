"""A network of Foresee in PyTorch, and what an image goes through before it.

    import torch
    from PIL import Image
    from foresee_network import load, preprocess

    network, attributes = load()
    with torch.no_grad():
        logits = network(preprocess(Image.open("face.jpg")).unsqueeze(0))
    probabilities = torch.sigmoid(logits)[0]

Needs torch, safetensors, numpy and Pillow.
"""
import json
import pathlib

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

FOLDER = pathlib.Path(__file__).parent
PREPROCESSING = json.loads((FOLDER / "preprocessing.json").read_text(encoding="utf-8"))
# Of these modes Pillow makes RGB bytes as Foresee does: transparency is left out.
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


class Block(nn.Module):
    """Convolution 3x3, batch norm, leaky ReLU."""

    def __init__(self, inputs, outputs, dilation):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.leaky_relu(self.bn(self.conv(x)), 0.01)


class Heads(nn.Module):
    """For each attribute k: masks sigmoid(conv_k(z)), the mean of mask * z over the pixels, and a
    readout to one logit."""

    def __init__(self, attributes, channels, mask_kernel, attention):
        super().__init__()
        self.attributes, self.channels, self.attention = attributes, channels, attention
        self.mask = nn.Conv2d(
            channels, attributes * channels, mask_kernel, padding=mask_kernel // 2
        )
        self.readout = nn.Linear(channels, attributes)  # row k reads what attribute k has pooled

    def masks(self, z):
        """All masks [B, K, C, H, W]. Without attention they are 1."""
        b, c, h, w = z.shape
        if not self.attention:
            return z.new_ones(b, self.attributes, c, h, w)
        return torch.sigmoid(self.mask(z)).view(b, self.attributes, c, h, w)

    def forward(self, z):
        if self.attention:
            pooled = (self.masks(z) * z.unsqueeze(1)).mean((3, 4))
        else:
            pooled = z.mean((2, 3)).unsqueeze(1)
        return (pooled * self.readout.weight).sum(2) + self.readout.bias


class Network(nn.Module):
    """Images [B, 3, H, W] to logits [B, K]."""

    def __init__(self, attributes=40, channels=128, mask_kernel=1, attention=True):
        super().__init__()
        plan = [(3, 32, 1), (32, 64, 2), (64, 64, 3), (64, channels, 2)]
        self.extractor = nn.Sequential(*[Block(*block) for block in plan])
        self.heads = Heads(attributes, channels, mask_kernel, attention)

    def forward(self, images):
        return self.heads(self.extractor(images))


def card(path=FOLDER / "model.safetensors"):
    """What the model file says about its network, as a dict."""
    with safe_open(str(path), "pt") as file:
        return json.loads(file.metadata()["foresee"])


def load(path=FOLDER / "model.safetensors"):
    """The network in evaluation mode, and the names of its attributes in the order of its logits.

    A readout of kind `mean`, `sum` or `signs` is a linear one whose weights are all 1/C, 1, or 1 or -1. Weights and products are
    float32, whatever precision the network was trained with.
    """
    described = card(path)
    settings = described["network"]
    network = Network(
        settings["attributes"],
        settings["channels"],
        settings["mask_kernel"],
        settings["attention"],
    )
    # Foresee does not count the batches of batch norms.
    missing, unexpected = network.load_state_dict(load_file(str(path)), strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"{path}: tensors {missing} are missing, {unexpected} are unknown")
    return network.eval(), described["attributes"]


def preprocess(image, settings=PREPROCESSING):
    """A PIL image to the network's input [3, size, size], with the bytes that Foresee makes of the
    same pixels: turned as its EXIF data say, cropped, resized, normalised."""
    if image.mode not in MODES:
        raise ValueError(f"an image of mode {image.mode}: convert it to RGB first")
    pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    height, width = pixels.shape[:2]
    crop_width, crop_height = width, height
    if settings["crop"] == "square":
        crop_width = crop_height = min(width, height)
    size = settings["size"]
    pixels = _resize_rows(pixels, (height - crop_height) / 2, crop_height, size)
    pixels = pixels.transpose(1, 0, 2)
    pixels = _resize_rows(pixels, (width - crop_width) / 2, crop_width, size)
    pixels = torch.from_numpy(pixels.transpose(2, 1, 0).astype(np.float32)) / 255
    mean = torch.tensor(settings["mean"]).view(3, 1, 1)
    deviation = torch.tensor(settings["deviation"]).view(3, 1, 1)
    return (pixels - mean) / deviation


def _resize_rows(pixels, start, length, size):
    """Rows [start, start + length) of an image as `size` rows of bytes.

    Row i is the mean of the rows around start + (i + 1/2) * scale, scale = length / size, under a
    triangle of half-width max(scale, 1): bilinear with antialias=True. As in Pillow the sum is made
    of integers and rounded; the integers have 16 bits, where Pillow's have 22, so that Pillow's own
    resize differs by one step of 255 in some pixels.
    """
    scale = length / size
    if scale == 1 and start == int(start):
        return pixels[int(start) : int(start) + size]
    radius = max(scale, 1.0)
    centres = start + (np.arange(size) + 0.5) * scale
    rows = np.arange(len(pixels)) + 0.5
    weights = np.maximum(1 - np.abs(rows - centres[:, None]) / radius, 0)
    weights /= weights.sum(1, keepdims=True)
    bits = 0
    while bits < 21 and np.floor(weights.max() * 2.0 ** (bits + 1) + 0.5) < 2**15:
        bits += 1
    weights = np.floor(weights * 2.0**bits + 0.5).astype(np.int64)
    sums = np.tensordot(weights, pixels.astype(np.int64), 1)
    return np.clip((sums + (1 << (bits - 1))) >> bits, 0, 255).astype(np.uint8)
