"""The search of a tuning: its trials, in a journal of Optuna's, and the settings of the next one.

The first trial has the defaults, ten have random settings, and the others follow the
tree-structured Parzen estimator (Bergstra et al. 2011). Random settings depend only on the seed and
the space, so every dataset tries the same ones; others also on earlier trials, which the journal
keeps: an interrupted search continues without a difference.

No trial stops early: a validation loss with weights that are searched cannot compare two trials.
"""

from __future__ import annotations

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
TRIES = 20  # draws of settings, until no earlier trial had them
FOLDER = ".trials"  # hidden: Snakemake removes the outputs that it knows before a job starts


def opened(folder: Path, key: str) -> optuna.Study:
    """Return the search with this key, a digest of all that decides it, in a folder's journal."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = folder / FOLDER / "journal.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(file)))
    return optuna.create_study(
        study_name=key, storage=storage, direction="maximize", load_if_exists=True
    )


def next_settings(
    trials: list[FrozenTrial], space: spaces.Space, defaults: dict, seed: int
) -> dict:
    """Return the settings of the next trial that differ from the run's `defaults`; {} for the first."""
    if not trials:
        return {}
    earlier = [defaults | settings_of(trial) for trial in trials]
    chosen: dict = {}
    for attempt in range(TRIES):
        entropy = np.random.SeedSequence([seed, len(trials), attempt])
        state = int(entropy.generate_state(1)[0])
        at_random = len(trials) <= RANDOM
        kind = optuna.samplers.RandomSampler if at_random else optuna.samplers.TPESampler
        study = optuna.create_study(direction="maximize", sampler=kind(seed=state))
        study.add_trials([] if at_random else trials)
        chosen = study.ask(fixed_distributions=_distributions(space)).params
        if chosen not in earlier:
            break
    return chosen


def keep(
    study: optuna.Study, space: spaces.Space, values: dict, objective: float | None, outcome: dict
) -> None:
    """Write a trial with the values of all hyperparameters in the search, and its columns in trials.tsv.

    The search treats one without an objective as the worst. None values are left out.
    """
    params = {name: value for name, value in values.items() if value is not None}
    distributions = _distributions(space)
    study.add_trial(
        create_trial(
            state=TrialState.PRUNED if objective is None else TrialState.COMPLETE,
            value=objective,
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs=outcome,
        )
    )


def settings_of(trial: FrozenTrial) -> dict:
    """Return the settings of a trial that differ from the run's."""
    return trial.params if trial.number else {}


def table_of(study: optuna.Study) -> pd.DataFrame:
    """Return the rows of trials.tsv."""
    table = study.trials_dataframe(attrs=("number", "value", "user_attrs", "params"))
    table.columns = [column.removeprefix("user_attrs_").removeprefix("params_") for column in table]
    return table.rename(columns={"number": "trial", "value": "objective"})


def best_of(trials: list[FrozenTrial]) -> FrozenTrial:
    """Return the earliest trial with the best objective; the first if no trial has one."""
    return max(trials, key=lambda trial: -np.inf if trial.value is None else trial.value)


def _distributions(space: spaces.Space) -> dict:
    found = {}
    for name, values in space.items():
        log = values.get("log", False)
        if "choice" in values:
            found[name] = CategoricalDistribution(values["choice"])
        elif "int" in values:
            found[name] = IntDistribution(*values["int"], log=log)
        else:
            found[name] = FloatDistribution(*values["float"], log=log)
    return found
