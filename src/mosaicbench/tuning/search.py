"""Which settings a trial has: first the defaults, then ten at random, then those that optuna's sampler expects most of.

The random ones depend on the seed and the space alone, so that the same settings are tried on every dataset: that tells whether
one setting beats the defaults on all of them. After them comes the tree-structured Parzen estimator (Bergstra et al. 2011). The
settings of a trial depend on the seed, its number and the trials before it, and on nothing that a process keeps in mind: a
search that was interrupted goes on as if it had not been.

No trial is pruned by its validation cost: that is a sum whose weights are among what is searched (beta, the weight of a
critic), so a lower one says nothing between two trials.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mosaicbench import spaces
from mosaicbench.tuning.study import Trial

RANDOM = 10  # trials after the first
TRIES = 20  # draws of settings that no earlier trial had


def settings_of_trial(
    number: int, space: spaces.Space, defaults: dict, trials: Sequence[Trial], seed: int
) -> dict:
    """Return the hyperparameters of a trial that differ from the run's own; {} for the first.

    Parameters
    ----------
    number
        0 for the first.
    space
        What is searched.
    defaults
        The values that the run has of what is searched.
    trials
        All earlier ones.
    seed
        Of the search.
    """
    if number == 0:
        return {}
    chosen: dict = {}
    for attempt in range(TRIES):
        chosen = _drawn(number, space, defaults, trials, [seed, number, attempt])
        if chosen not in [{**defaults, **trial.settings} for trial in trials]:
            break
    return chosen


def _drawn(
    number: int, space: spaces.Space, defaults: dict, trials: Sequence[Trial], entropy: list[int]
) -> dict:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    state = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    at_random = number <= RANDOM
    sampler = (
        optuna.samplers.RandomSampler(seed=state)
        if at_random
        else optuna.samplers.TPESampler(seed=state)
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {name: _distribution(optuna, values) for name, values in space.items()}
    for trial in [] if at_random else trials:
        # A default of None is none of the values that are searched.
        known = {
            name: value
            for name, value in {**defaults, **trial.settings}.items()
            if value is not None
        }
        told = {"params": known, "distributions": {name: distributions[name] for name in known}}
        study.add_trial(optuna.trial.create_trial(value=_told(trial, trials), **told))
    return study.ask(fixed_distributions=distributions).params


def _told(trial: Trial, trials: Sequence[Trial]) -> float:
    """Return the objective of a trial; of one that failed, the worst of all others, so that the search keeps away from it."""
    found = [other.objective for other in trials if other.objective is not None]
    return trial.objective if trial.objective is not None else min(found, default=0.0)


def _distribution(optuna: object, values: dict) -> object:
    if "choice" in values:
        return optuna.distributions.CategoricalDistribution(values["choice"])
    kinds = {
        "int": optuna.distributions.IntDistribution,
        "float": optuna.distributions.FloatDistribution,
    }
    kind = "int" if "int" in values else "float"
    return kinds[kind](*values[kind], log=values.get("log", False))
