"""How often a race calls the wrong leader, puts the right one out, and how many fits it saves: `python benchmarks/race.py`."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from mosaicbench.statistics.race import put_out_after

REPEATS, RUNS, FIRST, SEEDS = 4000, 8, 3, 12
GAPS = {  # how far the true means lie apart, in standard deviations of a run over seeds: the best first
    "all alike": np.zeros(RUNS),
    "two lead alike, others 2 below": np.array([0, 0, *[-2.0] * (RUNS - 2)]),
    "one leads by 0.5": np.array([0, *[-0.5] * (RUNS - 1)]),
    "one leads by 1": np.array([0, *[-1.0] * (RUNS - 1)]),
    "one leads by 2": np.array([0, *[-2.0] * (RUNS - 1)]),
    "steps of 1": -np.arange(RUNS, dtype=float),
}
NOISES = ("normal", "heavy tails (t, 3)", "skewed (exponential)")


def drawn(random: np.random.Generator, noise: str) -> np.ndarray:
    """Return (repeats, runs, seeds) noise of mean 0 and variance 1; a half of it is of the split, which all runs share."""
    size = (REPEATS, RUNS, SEEDS)
    if noise == "normal":
        own = random.standard_normal(size)
    elif noise.startswith("heavy"):
        own = random.standard_t(3, size) / np.sqrt(3)
    else:
        own = random.exponential(1, size) - 1
    return np.sqrt(0.5) * own + np.sqrt(0.5) * random.standard_normal((REPEATS, 1, SEEDS))


def naive(x: np.ndarray) -> np.ndarray:
    """Return as `put_out_after` does, of the rule that puts out whom the best so far beats with p < 0.05, in every round."""
    out = np.zeros(x.shape[:-1], dtype=int)
    for n in range(FIRST, SEEDS + 1):
        means = np.where(out == 0, x[..., :n].mean(-1), -np.inf)
        best = means.argmax(-1)
        d = np.take_along_axis(x, best[:, None, None], axis=1)[..., :n] - x[..., :n]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2 * stdtr(n - 1, -d.mean(-1) / (d.std(-1, ddof=1) / np.sqrt(n)))
        out = np.where((out == 0) & (p < 0.05), n, out)
    return out


def judged(out: np.ndarray, gaps: np.ndarray) -> list[float]:
    """Return how often a given leader is put out, a wrong one called, one called at all; and fits, of those of all seeds."""
    right, stands = gaps == gaps.max(), out == 0
    called = stands.sum(-1) == 1
    wrong = called & ~(stands & right).any(-1)
    ends = np.where(called, out.max(-1), SEEDS)  # a race that one leads stops
    fits = np.where(stands, ends[:, None], out).sum(-1)
    return [(~stands[:, right]).mean(), wrong.mean(), called.mean(), fits.mean() / (RUNS * SEEDS)]


def main() -> None:
    """Print the table of docs/statistics.md."""
    heads = [
        "noise",
        "true means",
        "leader put out",
        "wrong leader called",
        "a leader called",
        "fits",
    ]
    heads += ["leader put out, naive", "wrong leader called, naive"]
    print("| " + " | ".join(heads) + " |")
    print("| " + " | ".join(["---"] * len(heads)) + " |")
    for noise in NOISES:
        for name in GAPS if noise == "normal" else ("all alike", "one leads by 2"):
            x = drawn(np.random.default_rng(0), noise) + GAPS[name][:, None]
            put_out, wrong, called, fits = judged(put_out_after(x, FIRST), GAPS[name])
            by_naive = judged(naive(x), GAPS[name])
            row = [
                f"{put_out:.3f}",
                f"{wrong:.3f}",
                f"{called:.2f}",
                f"{fits:.2f}",
                *(f"{value:.3f}" for value in by_naive[:2]),
            ]
            print("| " + " | ".join([noise, name, *row]) + " |")


if __name__ == "__main__":
    main()
