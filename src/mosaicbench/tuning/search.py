"""A search: its trials, in a journal of optuna's, and which settings the next one has.

First the defaults, then ten settings at random, then those that optuna's sampler expects most of. The random ones depend on the
seed and the space alone, so that the same settings are tried on every dataset: that shows whether one setting beats the defaults
on all of them. After them comes the tree-structured Parzen estimator (Bergstra et al. 2011). The settings of a trial depend on
the seed, its number and the trials before it, and the journal has each trial as soon as it ended: a search that was interrupted
goes on as if it had not been.

No trial is pruned by its validation cost: that is a sum with weights that are searched themselves (beta, the weight of a
discriminator), so a lower one says nothing between two trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from mosaicbench.catalog import search_spaces as spaces

RANDOM = 10  # trials after the first
TRIES = 20  # draws of settings that no earlier trial had
FOLDER = ".trials"  # in the folder of a tuning; hidden, since Snakemake removes what it knows of before a job starts


def opened(folder: Path, key: str) -> optuna.Study:
    """Return the search of this key in a folder's journal, begun anew where there is none.

    Parameters
    ----------
    folder
        Of the tuning.
    key
        A digest of all that decides a trial: trials under another one are other searches.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = Path(folder) / FOLDER / "journal.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(file)))
    return optuna.create_study(
        study_name=key, storage=storage, direction="maximize", load_if_exists=True
    )


def next_settings(
    trials: Sequence[FrozenTrial], space: spaces.Space, defaults: dict, seed: int
) -> dict:
    """Return the hyperparameters of the next trial that differ from the run's own; {} for the first.

    Parameters
    ----------
    trials
        All earlier ones.
    space
        What is searched.
    defaults
        The values that the run has of what is searched.
    seed
        Of the search.
    """
    if not trials:
        return {}
    had = [defaults | settings_of(trial) for trial in trials]
    chosen: dict = {}
    for attempt in range(TRIES):
        entropy = np.random.SeedSequence([seed, len(trials), attempt])
        state = int(entropy.generate_state(1)[0])
        at_random = len(trials) <= RANDOM
        samplers = optuna.samplers
        sampler = samplers.RandomSampler(state) if at_random else samplers.TPESampler(seed=state)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials([] if at_random else trials)
        chosen = study.ask(fixed_distributions=_distributions(space)).params
        if chosen not in had:
            break
    return chosen


def keep(
    study: optuna.Study, space: spaces.Space, values: dict, objective: float | None, outcome: dict
) -> None:
    """Write a trial that has ended; the search keeps away from one without an objective, as from the worst.

    Parameters
    ----------
    values
        Of all that is searched. A default of None is none of the values that are searched, and is left out.
    outcome
        The trial's other columns of trials.tsv.
    """
    params = {name: value for name, value in values.items() if value is not None}
    study.add_trial(
        create_trial(
            state=TrialState.PRUNED if objective is None else TrialState.COMPLETE,
            value=objective,
            params=params,
            distributions={name: _distributions(space)[name] for name in params},
            user_attrs=outcome,
        )
    )


def settings_of(trial: FrozenTrial) -> dict:
    """Return the hyperparameters of a trial that differ from the run's own."""
    return trial.params if trial.number else {}


def table_of(study: optuna.Study) -> pd.DataFrame:
    """Return the rows of trials.tsv."""
    table = study.trials_dataframe(attrs=("number", "value", "user_attrs", "params"))
    table.columns = [column.removeprefix("user_attrs_").removeprefix("params_") for column in table]
    return table.rename(columns={"number": "trial", "value": "objective"})


def best_of(trials: Sequence[FrozenTrial]) -> FrozenTrial:
    """Return the trial of the best objective, the earliest of equals; the first where none has any."""
    return max(trials, key=lambda trial: -np.inf if trial.value is None else trial.value)


def _distributions(space: spaces.Space) -> dict:
    kinds = {"int": IntDistribution, "float": FloatDistribution}
    found = {}
    for name, values in space.items():
        kind = "int" if "int" in values else "float"
        found[name] = (
            CategoricalDistribution(values["choice"])
            if "choice" in values
            else kinds[kind](*values[kind], log=values.get("log", False))
        )
    return found
