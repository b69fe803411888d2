"""Hold FOSCTTM and label transfer against what they replace, in one run: seconds, seconds of all cores, and added memory.

    PYTHONPATH=src NUMBA_NUM_THREADS=2 python benchmarks/foscttm.py --cells 10000 161764 --dims 20

The naive form builds the whole matrix of distances with scipy, which is what published implementations do. Beyond
`--naive-up-to` cells it is left out. Every implementation runs in a process of its own, after a small run that compiles.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time

import numpy as np


def main() -> None:
    """Print one line per implementation and number of cells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[10_000])
    parser.add_argument("--dims", type=int, default=20)
    parser.add_argument("--naive-up-to", type=int, default=10_000)
    arguments = parser.parse_args()
    print(f"{'implementation':30}{'cells':>9}{'seconds':>10}{'CPU s':>10}{'added MB':>10}  result")
    for cells in arguments.cells:
        for name in IMPLEMENTATIONS:
            if not name.startswith("naive") or cells <= arguments.naive_up_to:
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    seconds, cpu, megabytes, result = pool.apply(measured, (name, cells, arguments.dims))
                print(f"{name:30}{cells:9}{seconds:10.2f}{cpu:10.2f}{megabytes:10.0f}  {result:.10f}", flush=True)


def measured(name: str, cells: int, dims: int) -> tuple[float, float, float, float]:
    """Return seconds, CPU seconds, the rise of peak memory in MB, and the result of one implementation on aligned latents."""
    random = np.random.default_rng(0)
    IMPLEMENTATIONS[name](random.standard_normal((300, dims)), random.standard_normal((300, dims)))
    a = random.standard_normal((cells, dims))
    b = a + 0.5 * random.standard_normal((cells, dims))
    cpu = time.process_time()
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    result = IMPLEMENTATIONS[name](a, b)
    seconds = time.perf_counter() - start
    return seconds, time.process_time() - cpu, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, result


def both_directions(a: np.ndarray, b: np.ndarray) -> float:
    """Return this package's FOSCTTM, the mean of both directions."""
    from mosaicbench.metrics.foscttm import foscttm

    return (foscttm(a, b) + foscttm(b, a)) / 2


def naive(a: np.ndarray, b: np.ndarray) -> float:
    """Return it from the whole matrix of distances: strictly closer, and half of those as far."""
    from scipy.spatial.distance import cdist

    distances = cdist(a, b, "sqeuclidean")
    match, others = np.diag(distances), 2 * (len(a) - 1)
    of = [((d < match).sum(0) + (d <= match).sum(0) - 1).mean() / others for d in (distances, distances.T)]
    return float(np.mean(of))


def label_transfer(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of cells whose label (the sign of two dimensions) is that of their 15 nearest."""
    from mosaicbench.metrics._neighbors import transfer_each

    labels = np.array(["--", "-+", "+-", "++"], dtype=object)[2 * (a[:, 0] > 0) + (a[:, 1] > 0)]
    return float(np.mean(transfer_each(a, labels, b, ks=(1, 5, 15, 50))[15] == labels))


def naive_label_transfer(a: np.ndarray, b: np.ndarray) -> float:
    """Return the same with scikit-learn's classifier."""
    from sklearn.neighbors import KNeighborsClassifier

    labels = np.array(["--", "-+", "+-", "++"])[2 * (a[:, 0] > 0) + (a[:, 1] > 0)]
    return float(KNeighborsClassifier(15, algorithm="brute").fit(a, labels).score(b, labels))


IMPLEMENTATIONS = {
    "foscttm, both directions": both_directions,
    "naive foscttm (scipy cdist)": naive,
    "label transfer, 4 k": label_transfer,
    "naive transfer (scikit-learn)": naive_label_transfer,
}

if __name__ == "__main__":
    main()
