"""What the learning curves of docs/src/results_accuracy.md say about full CelebA.

The error is taken for floor + a·faces^-b·images^-c, where images are those seen in training. The
points do not decide the floor, so the answer is given for several; each with the range that errors
of 0.18 points in each point (the largest distance of a point from its curve) leave.

usage: python tests/python/extrapolate_accuracy.py [faces] [epochs]     (needs NumPy)
"""

import sys

import numpy as np

# Training faces, images seen, error in percent of 800 held-out faces: 32 px, no masks, one seed.
POINTS = np.array(
    [
        (800, 64_000, 14.15),
        (1_600, 64_000, 13.39),
        (3_200, 64_000, 13.06),
        (6_400, 64_000, 12.93),
        (6_400, 64_000, 12.76),
        (6_400, 128_000, 11.77),
        (6_400, 128_000, 11.92),
        (6_400, 192_000, 11.24),
    ]
)
NOISE = 0.18


def fitted(errors, floor, faces, images):
    """The errors of a fit at the points, and the one at (faces, images)."""
    terms = lambda n, s: np.stack([np.ones_like(n), np.log(n), np.log(s)], axis=-1)
    at = terms(POINTS[:, 0], POINTS[:, 1])
    weights, *_ = np.linalg.lstsq(at, np.log(errors - floor), rcond=None)
    asked = terms(np.float64(faces), np.float64(images))
    return floor + np.exp(at @ weights), floor + np.exp(asked @ weights)


def main():
    faces = int(sys.argv[1]) if len(sys.argv) > 1 else 182_637
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    draws = np.random.default_rng(0)
    for floor in (0, 4, 8, 9):
        errors = POINTS[:, 2]
        at, asked = fitted(errors, floor, faces, faces * epochs)
        noise = draws.normal(0, NOISE, (2000, len(errors)))
        drawn = [100 - fitted(errors + e, floor, faces, faces * epochs)[1] for e in noise]
        low, high = np.quantile(drawn, [0.025, 0.975])
        off = np.abs(at - errors).max()
        print(f"floor {floor} %: accuracy {100 - asked:.1f} % ({low:.1f} to {high:.1f}); "
              f"points off by {off:.2f} at most")


if __name__ == "__main__":
    main()
