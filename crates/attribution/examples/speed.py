"""Captum's side of speed.rs: python speed.py METHOD [IMAGES [SIZE]], METHOD of sensitivity, integrated, grad_cam. pip install torch "captum==0.9.0" """
import os
import sys
import time
from pathlib import Path

import torch
from captum.attr import IntegratedGradients, LayerGradCam, Saliency

sys.path.insert(0, str(Path(__file__).parents[2] / "model" / "tests" / "fixtures"))
from twin import Twin  # noqa: E402

method = sys.argv[1] if len(sys.argv) > 1 else "sensitivity"
images, size = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 8), (3, 64)))
torch.set_num_threads(os.cpu_count())
twin = Twin(40, 128).eval()


class Logits(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.twin = twin

    def forward(self, x):
        return self.twin(x)[0]


def memory(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(key))


net = Logits()
x = torch.sin(0.17 * (torch.arange(images * 3 * size * size) ** 2 % 9973)).reshape(images, 3, size, size)
run = {
    "sensitivity": lambda: Saliency(net).attribute(x, target=20),
    "integrated": lambda: IntegratedGradients(net).attribute(x, target=20, n_steps=10, internal_batch_size=images),
    "grad_cam": lambda: LayerGradCam(net, twin.extractor).attribute(x, 20, relu_attributions=True),
}[method]
before = memory("VmRSS")
run()
seconds = []
for _ in range(3):
    start = time.perf_counter()
    run()
    seconds.append(time.perf_counter() - start)
seconds.sort()
peak = memory("VmHWM")
print(f"captum {method}: {images / seconds[1]:.2f} images/s (median of 3; best {images / seconds[0]:.2f}), peak {peak:.0f} MiB, {peak - before:.0f} MiB above the network")
