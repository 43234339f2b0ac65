"""Trains the PyTorch twin on the batches of tests/examples/loss_curve.rs and compares the losses, step by step.

    pip install torch safetensors
    python tests/python/loss_curve.py loss_curve.safetensors
"""
import pathlib
import sys

import torch
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "crates/model/tests/fixtures"))
from twin import Twin, loss  # noqa: E402

torch.set_num_threads(2)
data = load_file(sys.argv[1])
net = Twin()
weights = {n.removeprefix("initial."): t for n, t in data.items() if n.startswith("initial.")}
missing, unexpected = net.load_state_dict(weights, strict=False)
assert not unexpected and all(n.endswith("num_batches_tracked") for n in missing), (missing, unexpected)
adam = torch.optim.Adam(net.parameters(), 1e-3)
worst = 0.0
for step, (ours, rate) in enumerate(zip(data["losses"].tolist(), data["learning_rates"].tolist())):
    for group in adam.param_groups:
        group["lr"] = rate
    adam.zero_grad()
    logits, l1 = net(data[f"images.{step}"])
    value = loss(logits, l1, data[f"labels.{step}"])
    value.backward()
    adam.step()
    off = abs(ours - value.item()) / value.item()
    worst = max(worst, off)
    print(f"step {step}: PyTorch {value.item():.4f}, Foresee {ours:.4f}, off by {100 * off:.3f} %")
print(f"largest difference {100 * worst:.3f} %")
