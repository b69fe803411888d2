"""A stored run counts as made by the present code only where all its scores are equal."""

import sys
from dataclasses import replace

import pandas as pd
import pytest
from conftest import REPOSITORY

from mosaicbench.files.scores import SCORE_COLUMNS

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import reference  # noqa: E402


def scores(changes=()):
    """Return the scores of two runs of one split, those of `changes` (run, metric) -> value replaced."""
    rows = []
    for run, value in {"cca": 0.3, "mvae": 0.2}.items():
        for metric in ("foscttm", "fit_seconds"):
            number = dict(changes).get((run, metric), value)
            row = ["d", "paired", run, 0, metric, "mean", "", number, "ok"]
            rows += [] if number is None else [row]
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)


@pytest.mark.parametrize(
    ("changes", "equal"),
    [
        ({("mvae", "foscttm"): 0.2 + 1e-8}, {"cca", "mvae"}),
        ({("mvae", "fit_seconds"): 9.0}, {"cca", "mvae"}),
        ({("mvae", "foscttm"): 0.2001}, {"cca"}),
        ({("cca", "foscttm"): None}, {"mvae"}),
        ({("cca", "foscttm"): float("nan")}, {"mvae"}),
    ],
)
def test_runs_are_the_same_if_all_scores_but_resources_are(changes, equal):
    assert reference.same_scores(scores(), scores(changes)) == equal


def test_a_run_has_as_many_seeds_as_its_seconds_allow_unless_it_is_named_for_the_dataset():
    listed = {"quick": {"seconds": 1}, "slow": {"seconds": 600}}
    listed["five"] = {"datasets": ["small"], "runs": ["glue"]}
    seconds = {"cca": 0.5, "mvae": 9.0, "glue": 900.0, "totalvi": 700.0}
    paces = reference.by_pace(listed, "small", seconds)
    assert {pace: [*runs] for pace, runs in paces.items()} == {
        "quick": ["cca"],
        "usual": ["mvae"],
        "slow": ["totalvi"],
        "five": ["glue"],
    }
    assert [*reference.by_pace(listed, "large", seconds)["slow"]] == ["glue", "totalvi"]


def test_a_piece_that_runs_again_as_a_whole_replaces_what_was_fitted_again_of_it(
    tmp_path, monkeypatch
):
    def made(piece):
        return replace(reference.reference.empty(), scores=scores(), pieces=[{"piece": piece.name}])

    monkeypatch.setattr(reference, "collected", made)
    monkeypatch.setattr(reference, "RESULTS", tmp_path)
    store = tmp_path / "store"
    for name, stored in [("p", ["p"]), ("p.again", ["p", "p.again"]), ("p", ["p"])]:
        (tmp_path / name / "splits").mkdir(parents=True)
        reference.store(reference.Piece(name, {}, 0), [], store)
        assert [one["piece"] for one in reference.stored(store).pieces] == stored
