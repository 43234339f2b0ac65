"""Measures how often CelebA's attributes occur and how they go together.

    pip install numpy scipy
    python attribute_statistics.py CELEBA_DIR

Writes, beside this script, `attribute_frequencies.csv` (share of faces with the attribute, the standard normal quantile of that share, and the
number of faces counted) and
`attribute_latent_correlation.csv`: the tetrachoric correlation of every pair, i.e. the correlation of two standard normal variables that,
cut at the attributes' frequencies, gives the pair's joint frequency. The matrix is then brought to the nearest positive definite one by clipping
its eigenvalues at 1e-3, so that a Gaussian copula can draw from it. Counts are smoothed by half a face, so that a pair that never occurs
together stays finite. Only these statistics are kept; no row of the annotations is.
"""
import csv
import pathlib
import sys

import numpy as np
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm


def read(folder):
    lines = (pathlib.Path(folder) / "list_attr_celeba.txt").read_text().splitlines()
    return lines[1].split(), np.array([[int(v) > 0 for v in line.split()[1:]] for line in lines[2:]], dtype=float)


def tetrachoric(p, q, both):
    a, b = norm.ppf(p), norm.ppf(q)

    def error(r):
        return multivariate_normal.cdf([a, b], cov=[[1, r], [r, 1]]) - both

    low, high = -0.98, 0.98
    if error(low) > 0:
        return low
    if error(high) < 0:
        return high
    return brentq(error, low, high, xtol=1e-4)


def nearest_correlation(r):
    values, vectors = np.linalg.eigh(r)
    fixed = (vectors * np.maximum(values, 1e-3)) @ vectors.T
    scale = np.sqrt(np.diag(fixed))
    return fixed / np.outer(scale, scale)


names, y = read(sys.argv[1])
n = len(y)
means = (y.sum(0) + 0.5) / (n + 1)
r = np.eye(len(names))
for i in range(len(names)):
    for j in range(i):
        both = (np.sum(y[:, i] * y[:, j]) + 0.25) / (n + 0.5)
        r[i, j] = r[j, i] = tetrachoric(means[i], means[j], both)
r = nearest_correlation(r)
here = pathlib.Path(__file__).parent
with open(here / "attribute_frequencies.csv", "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    out.writerow(["attribute", "frequency", "threshold", "faces"])
    out.writerows([k, f"{v:.4f}", f"{norm.ppf(p):.4f}", n] for k, v, p in zip(names, y.mean(0), means))
with open(here / "attribute_latent_correlation.csv", "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    out.writerow(["attribute"] + names)
    out.writerows([k] + [f"{v:.4f}" for v in row] for k, row in zip(names, r))
