"""A race: seeds are added only for runs that paired tests have not put out, until one leads.

After each seed, every two runs that stand are compared by a paired t test over the seeds so far. A run is put out when another
one is better with a one-sided p below alpha / rounds / (runs - 1). These levels sum up to alpha over the rounds and a run's
opponents. So a run that is truly best is put out with a probability of at most alpha = 0.05, where differences are normal,
whenever one stops.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

ALPHA = 0.05
ROUNDS = 10  # then a race ends, undecided or not
FEWEST = 2  # seeds of a test


def last_of(first: int) -> int:
    """Return after how many seeds a race ends that had `first` before."""
    return max(first, FEWEST) + ROUNDS - 1


def put_out_after(x: np.ndarray, first: int) -> np.ndarray:
    """Return after how many seeds each run is put out, 0 for those that stand.

    Parameters
    ----------
    x
        (..., runs, seeds) scores, more is better, seeds in the order in which they came; NaN once a run has no more.
    first
        Seeds that were there before the race: the first round tests them together, each later round has one more.

    Returns
    -------
    numpy.ndarray
        (..., runs) integers.
    """
    from scipy import stats

    runs, seeds = x.shape[-2:]
    level = ALPHA / ROUNDS / max(runs - 1, 1)
    out = np.zeros(x.shape[:-1], dtype=int)
    for n in range(max(first, FEWEST), min(seeds, last_of(first)) + 1):
        difference = x[..., :, None, :n] - x[..., None, :, :n]  # (..., runs, runs, n)
        with warnings.catch_warnings(
            action="ignore"
        ):  # about equal differences: scipy's p is NaN where they are 0
            beaten = stats.ttest_1samp(difference, 0, axis=-1, alternative="less").pvalue < level
        standing = out == 0
        loses = (beaten & standing[..., None, :]).any(-1)
        out = np.where(standing & loses, n, out)
    return out


@dataclass(frozen=True)
class Standing:
    """How one question's race stands.

    Attributes
    ----------
    out
        run -> after how many seeds it was put out.
    standing
        The runs that are in, the one with the best mean first.
    failed
        The runs that lack a score of a seed in which they took part, so that they cannot be compared.
    """

    out: Mapping[str, int]
    standing: tuple[str, ...]
    failed: tuple[str, ...] = ()

    @property
    def decided(self) -> bool:
        """Whether no more than one run is in."""
        return len(self.standing) < 2


def standing_of(table: pd.DataFrame, sign: float, first: int) -> Standing:
    """Return how a race stands.

    Parameters
    ----------
    table
        (seeds, runs), seeds in the order in which they came; NaN where a run has no score.
    sign
        1 where more is better, -1 where less is.
    first
        As of :func:`put_out_after`.
    """
    failed = tuple(run for run in table if table[run].iloc[:first].isna().any())
    table = table.drop(columns=list(failed))
    if table.shape[1] < 2 or len(table) < FEWEST:
        return Standing({}, tuple(table.columns), failed)
    number = put_out_after(sign * table.to_numpy(dtype=float).T, first)
    out = {run: int(n) for run, n in zip(table, number, strict=True) if n}
    stands = [run for run in table if run not in out]
    later = (
        tuple(run for run in stands if table[run].isna().any()) if len(stands) > 1 else ()
    )  # a leader needs no more seeds
    stands = [run for run in stands if run not in later]
    means = (sign * table[stands]).mean().sort_values(ascending=False, kind="stable")
    return Standing(out, tuple(means.index), (*failed, *later))


@dataclass
class Race:
    """Questions that are asked together: a run goes on while it stands in a question that is not decided.

    Attributes
    ----------
    first
        Seeds that were there before.
    signs
        question -> 1 where more is better, -1 where less is; a question is any key.
    tables
        question -> (seeds, runs).
    """

    first: int
    signs: Mapping[object, float]
    tables: dict[object, pd.DataFrame]
    fits: int = 0
    rounds: list[tuple[int, int]] = field(default_factory=list)  # seed, fits

    def standings(self) -> dict[object, Standing]:
        """Return how each question stands."""
        return {
            question: standing_of(table, self.signs[question], self.first)
            for question, table in self.tables.items()
        }

    @property
    def rounds_left(self) -> int:
        """How many more seeds the levels of the tests allow for."""
        return last_of(self.first) - max(map(len, self.tables.values()), default=0)

    def wanted(self, entrants_of: Callable[[object, str], object]) -> list[object]:
        """Return what another seed is fitted for; `entrants_of` says of a question and a run what that is."""
        open_runs = [
            (question, run)
            for question, now in self.standings().items()
            if not now.decided
            for run in now.standing
        ]
        return list(dict.fromkeys(entrants_of(question, run) for question, run in open_runs))

    def run(
        self,
        seed: int,
        fit: Callable[[list[object], int], Mapping[object, Mapping[str, float]]],
        entrants_of: Callable[[object, str], object],
        *,
        budget: int,
    ) -> None:
        """Add seeds, from `seed` on, until each question is decided or another round would pass the budget of fits.

        `fit` fits what it is told with a seed, and returns question -> run -> score.
        """
        while (
            (entrants := self.wanted(entrants_of))
            and self.fits + len(entrants) <= budget
            and self.rounds_left
        ):
            scores = fit(entrants, seed)
            for question, table in self.tables.items():
                if row := {
                    run: value for run, value in scores.get(question, {}).items() if run in table
                }:
                    self.tables[question] = pd.concat([table, pd.DataFrame([row], index=[seed])])[
                        list(table.columns)
                    ]
            self.fits += len(entrants)
            self.rounds.append((seed, len(entrants)))
            seed += 1
