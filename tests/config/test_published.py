"""Published numbers stand beside ours only where both mean the same."""

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY
from made_up_scores import ROSTER, SEEDS, scores_of

from mosaicbench.catalog import catalog
from mosaicbench.report.tables import published
from mosaicbench.stats.means import comparison


def number(**changed) -> dict:
    known = {
        "dataset": "d",
        "scenario": "paired",
        "method": "MVAE",
        "method_id": "mvae",
        "metric": "foscttm",
    }
    known |= {
        "direction": "rna->adt",
        "value": 0.05,
        "split": "held_out",
        "source": "R",
        "verdict": "usable",
    }
    return known | {"reason": "a remark", "reference": "r"} | changed


def beside(numbers: list[dict]) -> pd.DataFrame:
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
    ("scenarios", "taken"),
    [(["few", "paired"], "paired"), (["paired", "few"], "paired"), (["many", "few"], "many")],
)
def test_ours_are_of_the_scenario_named_like_its_kind_else_of_the_first(scenarios, taken):
    parts = []
    for name in reversed(scenarios):
        there, back = ([0.2, 0.2], [0.4, 0.4]) if name == taken else ([0.1, 0.1], [0.9, 0.9])
        parts.append(
            scores_of(
                {("mvae", "foscttm"): there, ("mvae", "foscttm", "adt->rna"): back}, scenario=name
            )
        )
    numbers = [number(), number(direction="mean"), number(direction="worst")]
    file = {
        "definitions": {"foscttm": "as ours"},
        "references": {"r": "somewhere"},
        "numbers": numbers,
    }
    found = published.beside_ours(
        file, comparison(pd.concat(parts)), dict.fromkeys(scenarios, "paired"), ROSTER
    )
    np.testing.assert_allclose(found["ours"], [0.2, 0.3, 0.4])
    assert set(found["our_scenario"]) == {taken}


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"dataset": "external"}, "dataset"),
        ({"scenario": "unpaired"}, "scenario"),
        ({"metric": "foscttm_other"}, "definition"),
        ({"metric": "imputation_skill"}, "definition"),
        ({"split": "transductive"}, "split"),
        ({"split": "leaky"}, "split"),
        ({"direction": "unstated"}, "direction"),
        ({"direction": "adt->atac"}, "direction"),
        ({"labels": "l1"}, "labels"),
        ({"verdict": "invalid"}, "verdict"),
    ],
)
def test_a_number_of_another_meaning_stands_alone_with_the_reason(changed, differs):
    row = beside([number(**changed)]).iloc[0]
    assert not row["comparable"]
    assert np.isnan(row["ours"])
    assert row["differs"] == differs
    assert row["reason"]


def test_the_published_numbers_are_valid_and_complete():
    found = published.read_published(REPOSITORY / "config/published.yaml")
    defined = set(found["definitions"])
    assert {number["metric"] for number in found["numbers"]} <= defined
    assert {number["reference"] for number in found["numbers"]} == set(found["references"])
    values = {
        (n["dataset"], n["method"], n["metric"], n["direction"]): n["value"]
        for n in found["numbers"]
        if "labels" not in n
    }
    assert values["multiome_pbmc10k", "UniVI", "foscttm_univi", "rna->atac"] == 0.048
    assert values["hao_citeseq", "MaxFuse", "foscttm_maxfuse", "rna->adt"] == 0.0619
    # In its table of TEA-seq some methods are scored from proteins, the others from ATAC.
    of_teaseq = {
        key[1]: key[3] for key in values if key[0] == "teaseq_wells" and key[2] == "foscttm_maxfuse"
    }
    from_proteins = {method for method, direction in of_teaseq.items() if direction == "adt->atac"}
    assert from_proteins == {"MaxFuse", "bindSC", "Harmony"}
    assert set(of_teaseq) - from_proteins == {"Seurat", "LIGER"}
    # MaxFuse's table of 10x PBMC scores itself from RNA to ATAC and the others from ATAC to RNA, over all 20 dimensions.
    for method, direction, value in (("MaxFuse", "rna->atac", 0.038), ("GLUE", "atac->rna", 0.034)):
        assert values["multiome_pbmc10k", method, "foscttm_maxfuse_10x", direction] == value
    for method, value in (("MAESTRO", 0.0778), ("scJoint", 0.0817)):
        assert values["multiome_pbmc10k", method, "foscttm_maxfuse_10x", "atac->rna"] == value
    assert "all dimensions (MaxFuse has 20)" in found["definitions"]["foscttm_maxfuse_10x"]
    assert {n["dataset"] for n in found["numbers"] if n["method"] == "mmAAVI"} == {
        "unstated"
    }  # its abstract names none
    registry = yaml.safe_load((REPOSITORY / "config/datasets.yaml").read_text())
    for entry in found["numbers"]:
        if entry["verdict"] == "usable":  # it can stand beside ours as soon as the dataset is run
            assert entry["dataset"] in registry
            assert entry["metric"] in catalog.names("metrics")
    invalid = [n for n in found["numbers"] if n["verdict"] == "invalid"]
    assert {n["method"] for n in invalid} == {"scMODAL"}
