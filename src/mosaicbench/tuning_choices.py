"""What a config asks to be tuned: which runs, judged by what."""

from __future__ import annotations

from mosaicbench import catalog, spaces
from mosaicbench.cards import NO_QUALITY
from mosaicbench.errors import UserError, nearest
from mosaicbench.spaces import TUNED

ALL, MEAN = "all", "mean"
GROUPS_OF_MEAN = (
    "alignment",
    "label_transfer",
    "imputation",
)  # whose metrics the objective "mean" is made of


def tuned(tuning: dict | None, runs: dict) -> dict[str, str]:
    """Return tuned run -> the run that it tunes, in the order of the runs; {} without tuning.

    Parameters
    ----------
    tuning
        The config's key, with every default filled in.
    runs
        id -> ``settings.Run``.

    Raises
    ------
    UserError
        With the key, where a run or an objective is not there or cannot be tuned.
    """
    if not tuning:
        return {}
    _check_objective(tuning["objective"])
    why_not = {name: _why_not(run) for name, run in runs.items()}
    if tuning["runs"] == ALL:
        chosen = [name for name, why in why_not.items() if not why]
        if not chosen:
            raise UserError("config key tuning.runs: no run of this config has anything to search")
    elif isinstance(tuning["runs"], str):
        raise UserError(
            f"config key tuning.runs: expected {ALL!r} or a list of runs, found {tuning['runs']!r}"
        )
    else:
        for name in tuning["runs"]:
            if name not in runs:
                raise UserError(
                    f"config key tuning.runs: there is no run {name!r}{nearest(name, runs)}"
                )
            if why_not[name]:
                raise UserError(
                    f"config key tuning.runs: {name!r} cannot be tuned: {why_not[name]}"
                )
        chosen = [name for name in runs if name in tuning["runs"]]
    for name in chosen:
        if name + TUNED in runs:
            raise UserError(
                f"config key runs.{name + TUNED}: the key `tuning` makes a run of this name; call this one otherwise"
            )
        if len(name + TUNED) > 100:
            raise UserError(
                f"config key tuning.runs: {name!r} is too long a name to add {TUNED!r} to; shorten it"
            )
    return {name + TUNED: name for name in chosen}


def _why_not(run) -> str:
    """Return why a run cannot be tuned, "" where it can."""
    card = catalog.card("methods", run.method)
    if card["kind"] == "control":
        return "a control has nothing to search"
    if run.method == catalog.ELSEWHERE:
        return "it was computed elsewhere"
    if "space" not in card:
        return f"the card of method {run.method!r} has no `space`"
    return (
        ""
        if spaces.free(card["space"], run.hyperparameters)
        else "its stanza states all that could be searched"
    )


def _check_objective(objective: str) -> None:
    metrics = catalog.cards("metrics")
    if objective == MEAN:
        return
    if objective not in metrics:
        raise UserError(
            f"config key tuning.objective: there is no metric {objective!r}{nearest(objective, [MEAN, *metrics])}"
        )
    card = metrics[objective]
    if card["better"] == "nearer" or card["group"] in NO_QUALITY:
        raise UserError(
            f"config key tuning.objective: a larger or smaller {objective!r} is no better result; take another metric"
        )
