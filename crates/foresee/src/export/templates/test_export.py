"""Does this network compute here what it computes in Foresee?

    python test_export.py                      # the ten drawn faces in the folder `faces`
    python test_export.py --faces DIR          # also ten images of the folder that it was tested on
    python test_export.py --onnx model.onnx    # also this file, by onnxruntime

Also runs under pytest. `expected.json` holds Foresee's probabilities. They were computed with
float32 products; a run with bfloat16 products (`model.precision`) gives others.
"""
import argparse
import hashlib
import json
import pathlib
import sys

import torch
from PIL import Image

FOLDER = pathlib.Path(__file__).parent
sys.path.insert(0, str(FOLDER))
from foresee_network import load, preprocess  # noqa: E402

EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
# The drawn faces are PNG files, which every decoder reads alike.
TOLERANCE = 1e-3
# Decoders of JPEG round in their own ways, by some steps of 255 where colours are stored at half
# size. A wrong crop is off by far more.
JPEG_TOLERANCE = 0.05


def read(path, expected):
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != expected["sha256"]:
        raise SystemExit(f"{path} is not the file that Foresee read (another SHA-256)")
    return preprocess(Image.open(path))


def by_pytorch(images):
    network, attributes = load()
    assert attributes == EXPECTED["attributes"]
    with torch.no_grad():
        return torch.cat([torch.sigmoid(network(image.unsqueeze(0))) for image in images])


def by_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def probabilities(images):
        batch = torch.stack(images).numpy()
        return torch.from_numpy(session.run(["probabilities"], {"images": batch})[0])

    return probabilities


def greatest_difference(folder, items, probabilities):
    """max |p here - p in Foresee| over some images and all attributes."""
    images = [read(folder / item["image"], item) for item in items]
    expected = torch.tensor([item["probabilities"] for item in items])
    return (probabilities(images) - expected).abs().max().item()


def test_drawn_faces():
    assert greatest_difference(FOLDER, EXPECTED["drawn"], by_pytorch) <= TOLERANCE


def folder_of_images(root, name):
    places = [root, root / "img_align_celeba", root / "img_align_celeba" / "img_align_celeba"]
    places += [root / "Img" / "img_align_celeba", root / "celeba" / "img_align_celeba"]
    for place in places:
        if (place / name).is_file():
            return place
    raise SystemExit(f"{name} is not in {root}: name the folder of the images")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=pathlib.Path, help="the folder of the images")
    parser.add_argument("--onnx", type=pathlib.Path, help="the file of foresee export --onnx")
    arguments = parser.parse_args()
    programs = [("PyTorch", by_pytorch)]
    if arguments.onnx:
        programs.append(("onnxruntime", by_onnx(arguments.onnx)))
    checks = [("drawn faces", FOLDER, EXPECTED["drawn"], TOLERANCE)]
    if arguments.faces:
        if not EXPECTED["faces"]:
            raise SystemExit("the export had no folder of faces: give it --celeba")
        folder = folder_of_images(arguments.faces, EXPECTED["faces"][0]["image"])
        checks.append(("images of the folder", folder, EXPECTED["faces"], JPEG_TOLERANCE))
    failed = False
    for program, probabilities in programs:
        for title, folder, items, tolerance in checks:
            found = greatest_difference(folder, items, probabilities)
            verdict = "ok" if found <= tolerance else "FAILED"
            failed |= not found <= tolerance
            count = len(items)
            print(f"{program}, {count} {title}: max |difference| {found:.1e}, {verdict}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
