"""Pages of studies whose figure and finding have a script of their own: they follow from their tables."""

import sys

import pandas as pd
import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "docs/site"))

import budgets  # noqa: E402
import which_defaults  # noqa: E402


def test_the_page_of_defaults_follows_from_its_table():
    rows, text = (
        pd.read_csv(which_defaults.TABLE, sep="\t"),
        which_defaults.PAGE.read_text(encoding="utf-8"),
    )
    assert text == which_defaults.refreshed(text, rows), "run: python docs/site/which_defaults.py"


def test_another_first_run_is_separable_if_its_whole_interval_is_above_0():
    rows = [("a", "a", 0.0), ("a", "b", -0.1), ("a", "b", 0.1)]
    rows = pd.DataFrame(rows, columns=["first", "first_after", "low"])
    expected = [which_defaults.STAYS, which_defaults.NEAR, which_defaults.CHANGES]
    assert rows.apply(which_defaults.kind_of, axis=1).tolist() == expected


def rows_of_budgets(method="mvae", **means):
    """Return rows of a method's sweep and of its default rule, whose intervals are 0.02 wide."""
    rows = []
    for metric, values in means.items():
        for epochs, mean in values.items():
            x = None if epochs == "default" else epochs
            run = method if x is None else f"{method}-{x}"
            place = {"data": "cells", "scenario": "paired", "x": x, "run": run, "method": method}
            interval = {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}
            rows.append(place | interval | {"metric": metric, "epoch_kept": 41, "commit": "012"})
    return pd.DataFrame(rows)


def test_a_budget_levels_off_where_the_best_one_is_within_its_interval():
    rows = rows_of_budgets(
        foscttm={3: 0.30, 10: 0.209, 30: 0.20, 100: 0.205, "default": 0.22},  # lower is better
        imputation_skill={3: 0.1, 10: 0.3, 30: 0.32, "default": 0.325},
    )
    alignment, skill = budgets.levels(rows).to_dict("records")
    assert (alignment["best"], alignment["epochs"], alignment["near"]) == (0.20, 10, False)
    assert alignment["behind"] == pytest.approx(0.02) and alignment["epochs_default"] == 41
    assert (skill["best"], skill["epochs"], skill["near"]) == (0.32, 30, True)
    assert skill["behind"] == pytest.approx(-0.005)
    said = budgets.finding(budgets.levels(rows), rows)
    assert (
        "0 of 1 pairs of method and dataset; furthest behind it: `mvae` on cells by 0.020" in said
    )
    panels = budgets.drawn(rows, budgets.levels(rows)).axes
    assert [axes.lines[0].get_xdata().tolist() for axes in (panels[0], panels[2])] == [
        [3, 10, 30, 100],
        [3, 10, 30],
    ]


def test_ranks_with_a_budget_are_compared_with_those_of_the_default():
    values = {"mvae": [0.3, 0.10], "mmvae": [0.2, 0.11], "mopoe": [0.1, 0.12]}
    rows = pd.concat(
        rows_of_budgets(method, foscttm={3: first, 100: last, "default": last})
        for method, (first, last) in values.items()
    )
    said = budgets.ranked(rows).splitlines()
    assert said[-2].startswith("| 3 | -1.00; 0 of 1 |")
    assert said[-1].startswith("| 100 | 1.00; 1 of 1 |")
