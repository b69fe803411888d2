"""Two results folders side by side: which scores differ beyond chance, seed by seed."""

import numpy as np
import pytest
from made_up_scores import runs_of, scores_of
from numpy.testing import assert_allclose
from scipy import stats

from mosaicbench import cli
from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.commands.compare import COLUMNS, compared
from mosaicbench.files.tables import read_table, write_table

METRICS = {"foscttm": {"better": "lower"}, "nmi": {"better": "higher"}}
ROSTER = RunMetadata({"metrics": METRICS}, {})


def changes(a, b):
    """Return the differences between two benchmarks, given as (run, metric[, direction]) -> values by seed."""
    return compared(scores_of(a), scores_of(b), ROSTER)


@pytest.mark.parametrize(
    ("metric", "a", "b", "change"),
    [
        ("foscttm", [0.2, 0.3, 0.4], [0.1, 0.21, 0.3], "better"),
        ("nmi", [0.1, 0.21, 0.3], [0.2, 0.3, 0.4], "better"),
        ("nmi", [0.2, 0.3, 0.4], [0.1, 0.21, 0.3], "worse"),
        ("nmi", [0.1, 0.2, 0.3], [0.2, 0.19, 0.4], "within"),
        ("unknown", [0.1, 0.21, 0.3], [0.2, 0.3, 0.4], "differs"),
        ("nmi", [0.1], [0.9], "no test"),
        ("nmi", [0.1, 0.2], [0.1, 0.2], "same"),
        ("nmi", [0.1], [0.1, 0.5], "same"),  # with the seed that both have
    ],
)
def test_a_change_is_claimed_where_the_interval_of_the_paired_difference_excludes_zero(
    metric, a, b, change
):
    found = changes({("mvae", metric): a}, {("mvae", metric): b})
    assert list(found.columns) == COLUMNS
    seeds = min(len(a), len(b))
    row = found.iloc[0]
    assert (row["change"], row["seeds"]) == (change, seeds)
    assert_allclose(row["difference"], np.mean(b[:seeds]) - np.mean(a[:seeds]))
    if seeds > 1 and change != "same":
        interval = stats.ttest_rel(b, a).confidence_interval()
        assert_allclose([row["low"], row["high"]], [interval.low, interval.high])


def test_scores_of_one_side_have_no_difference_and_failed_fits_no_score():
    a = {("mvae", "nmi"): [0.5, 0.4], ("cca", "nmi"): [0.5, 0.4]}
    b = {("mvae", "nmi"): [None, None], ("cca", "nmi"): [0.5, 0.4]}
    found = changes(a, b).set_index("run")
    assert found["change"].to_dict() == {"mvae": "only in A", "cca": "same"}
    assert np.isnan(found.loc["mvae", "difference"])
    assert changes(b, a).set_index("run").loc["mvae", "change"] == "only in B"


def test_differences_are_over_the_directions_that_both_have():
    a = {("mvae", "nmi", "a->b"): [0.5, 0.4, 0.6]}
    b = {("mvae", "nmi", "a->b"): [0.51, 0.38, 0.61], ("mvae", "nmi", "b->a"): [0.1, 0.1, 0.1]}
    (row,) = changes(a, b).to_dict("records")
    assert (row["change"], row["seeds"]) == ("within", 3)
    assert_allclose(row["difference"], 0, atol=1e-12)


def test_compare_prints_what_changed_and_writes_every_score(tmp_path, capsys):
    for name, mean in (("a", 0.3), ("b", 0.1)):
        scores = scores_of(
            {("mvae", "foscttm"): [mean, mean + 0.001], ("cca", "foscttm"): [0.2, 0.3]}
        )
        write_table(tmp_path / name / "tables/scores.tsv", scores)
        write_table(tmp_path / name / "tables/runs.tsv", runs_of(scores))
    folders = [str(tmp_path / name) for name in "ab"]
    cli.main(["compare", *folders, "--output", str(tmp_path / "changes.tsv")])
    said = capsys.readouterr().out
    assert all(words in said for words in ("2 scores", "1 better", "1 same"))
    assert "foscttm 0.3 0.1" in " ".join(said.split()) and "cca" not in said
    assert set(read_table(tmp_path / "changes.tsv", COLUMNS)["change"]) == {"better", "same"}
    with pytest.raises(SystemExit, match=r"nowhere: .*tables/scores\.tsv; name the results folder"):
        cli.main(["compare", folders[0], str(tmp_path / "nowhere")])
