"""Published numbers stand beside ours only where both mean the same."""

import numpy as np
import pytest
import yaml
from conftest import REPOSITORY
from made_up_scores import ROSTER, SEEDS, scores_of

from mosaicbench.catalog import catalog
from mosaicbench.report.tables import published
from mosaicbench.stats.means import comparison


def number(**changed):
    known = {"dataset": "d", "scenario": "paired", "method": "MVAE", "method_id": "mvae"}
    known |= {"metric": "foscttm", "direction": "rna->adt", "value": 0.05, "split": "held_out"}
    return known | {"verdict": "usable", "reason": "a remark", "reference": "r"} | changed


def beside(numbers):
    scores = scores_of(SEEDS | {("mvae", "foscttm", "adt->rna"): [0.3, 0.3, 0.3, 0.3]})
    file = {
        "definitions": {"foscttm": "as ours", "foscttm_other": "another"},
        "references": {"r": "somewhere"},
        "numbers": numbers,
    }
    return published.beside_ours(file, comparison(scores), {"paired": "paired"}, ROSTER)


def test_ours_stands_beside_a_number_of_the_same_meaning():
    row = beside([number()]).iloc[0]
    assert row["comparable"]
    assert (row["run"], row["same_method"], row["differs"]) == ("mvae", "yes", "")
    np.testing.assert_allclose(
        [row["ours"], row["ours_sd"]], [0.115, np.std(SEEDS["mvae", "foscttm"], ddof=1)]
    )
    assert row["ours_seeds"] == 4
    other = beside([number(method="UniVI", method_id=None)]).iloc[0]
    assert (other["run"], other["same_method"]) == ("mvae", "no")  # the best, and never a control
    both = beside([number(direction="mean"), number(direction="worst")])
    np.testing.assert_allclose(both["ours"], [(0.115 + 0.3) / 2, 0.3])


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"dataset": "external"}, "dataset"),
        ({"scenario": "unpaired"}, "scenario"),
        ({"metric": "foscttm_other"}, "definition"),
        ({"metric": "imputation_skill"}, "definition"),
        ({"split": "leaky"}, "split"),
        ({"direction": "unstated"}, "direction"),
        ({"direction": "adt->atac"}, "direction"),
        ({"labels": "l1"}, "labels"),
        ({"verdict": "invalid"}, "verdict"),
    ],
)
def test_a_number_of_another_meaning_stands_alone_with_the_reason(changed, differs):
    row = beside([number(**changed)]).iloc[0]
    assert not row["comparable"] and row["reason"]
    assert np.isnan(row["ours"])
    assert row["differs"] == differs


def test_the_published_numbers_are_valid_and_complete():
    found = published.read_published()
    defined = set(found["definitions"])
    assert {number["metric"] for number in found["numbers"]} <= defined
    assert {number["reference"] for number in found["numbers"]} == set(found["references"])
    registry = yaml.safe_load((REPOSITORY / "config/datasets.yaml").read_text())
    for entry in found["numbers"]:
        if entry["verdict"] == "usable":  # it can stand beside ours as soon as the dataset is run
            assert entry["dataset"] in registry
            assert entry["metric"] in catalog.names("metrics") or entry.get("protocol")
