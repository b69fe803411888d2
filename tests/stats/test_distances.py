"""Which verdicts depend on the distance: counted from the tables, drawn and summarised."""

import numpy as np
import pandas as pd
import pytest
import yaml
from made_up_scores import CARDS, runs_of, scores_of

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.figures.distances import distances
from mosaicbench.report.page.verdict import by_distance
from mosaicbench.report.tables.rankings import overview
from mosaicbench.report.theme import DISPLAY, Theme
from mosaicbench.stats import common
from mosaicbench.stats.means import headline, verdicts_by_distance

FORMS = [name for forms in common.BY_DISTANCE.values() for name in forms.values()]
METRICS = CARDS["metrics"] | {name: catalog.card("metrics", name) for name in FORMS}
METADATA = RunMetadata(cards=CARDS | {"metrics": METRICS}, methods={})
THEME = Theme(yaml.safe_load(DISPLAY.read_text()), METADATA)
# run -> FOSCTTM by Euclidean and by cosine distance; the oracle does not compete
FIRST = {"mvae": (0.30, 0.10), "cca": (0.20, 0.15), "vae_poe": (0.25, 0.20), "oracle": (0.0, 0.0)}
SECOND = {"mvae": (0.10, 0.05), "cca": (0.20, 0.30), "vae_poe": (0.25, 0.25)}


def summary_of(**datasets):
    parts = []
    for dataset, runs in datasets.items():
        values = {("ridge", "imputation_skill"): [0.1, 0.2]}  # has no latents
        for run, (euclidean, cosine) in runs.items():
            values[run, "foscttm"] = [euclidean, euclidean + 0.01]
            values[run, "foscttm_cosine"] = [cosine, cosine + 0.01]
        parts.append(headline(scores_of(values, dataset=dataset)))
    return pd.concat(parts, ignore_index=True)


def test_the_best_run_and_the_pairs_that_turn_are_counted_by_split():
    table = verdicts_by_distance(summary_of(one=FIRST, two=SECOND), METADATA)
    assert table.drop(columns="scenario").to_numpy().tolist() == [
        ["one", "foscttm", "cca", "mvae", True, 3, 3, 2],  # mvae passes both others
        ["two", "foscttm", "mvae", "mvae", False, 3, 3, 1],
    ]


def test_a_run_without_one_of_the_scores_is_compared_by_neither():
    summary = summary_of(one=FIRST)
    lacking = summary[~((summary["run"] == "mvae") & (summary["metric"] == "foscttm_cosine"))]
    row = verdicts_by_distance(lacking, METADATA).iloc[0]
    assert row[["best_euclidean", "best_cosine", "runs"]].tolist() == ["cca", "cca", 2]
    alone = summary[summary["run"].isin(["mvae", "oracle", "ridge"])]
    assert verdicts_by_distance(alone, METADATA).empty


def test_the_report_says_how_often_verdicts_differ():
    both = verdicts_by_distance(summary_of(one=FIRST, two=SECOND), METADATA)
    (sentence,) = by_distance(both, THEME)
    for words in ("1 of 2 splits", "3 of 6 pairs", "Euclidean cca", "cosine mvae"):
        assert words in sentence
    (same,) = by_distance(verdicts_by_distance(summary_of(two=SECOND), METADATA), THEME)
    assert "the best run is the same" in same and "1 of 3 pairs" in same
    assert by_distance(both.iloc[:0], THEME) == []


def test_the_figure_has_a_row_for_each_run_that_competes_with_its_places():
    summary = summary_of(one=FIRST)
    runs = runs_of(scores_of({(run, "foscttm"): [0.1] for run in FIRST}, dataset="one"))
    figure, drawn = distances(headline=summary, runs=runs, theme=THEME)
    rows = drawn.set_index("run")
    assert set(rows.index) == {"mvae", "cca", "vae_poe"}
    assert rows.loc["mvae", ["place_euclidean", "place_cosine"]].tolist() == [3, 1]
    assert rows.loc["mvae", ["euclidean", "cosine"]].tolist() == pytest.approx([0.305, 0.105])
    points = sorted(tuple(np.ravel(line.get_xydata())) for line in figure.axes[0].lines[1:])
    assert points == sorted(rows[["euclidean", "cosine"]].itertuples(index=False, name=None))
    summary = summary[summary["metric"] == "imputation_skill"]
    assert distances(headline=summary, runs=runs, theme=THEME)[1].empty


def test_the_overview_has_a_score_of_latents_by_both_distances():
    scores = scores_of({("mvae", "foscttm"): [0.1], ("mvae", "foscttm_cosine"): [0.2]})
    line = overview(scores, runs_of(scores), METADATA).iloc[0]
    assert (line["foscttm"], line["foscttm_cosine"]) == ("0.100", "0.200")
