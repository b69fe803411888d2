"""Deep against linear, own against others, packages: the pages follow from the stored results, and a contest is right by hand."""

import sys
from dataclasses import replace

import pandas as pd
import pytest
from conftest import REPOSITORY

from mosaicbench.files import reference

sys.path.insert(0, str(REPOSITORY / "docs/site"))

import donors  # noqa: E402
import family  # noqa: E402
import own_model  # noqa: E402
import peers  # noqa: E402


def test_the_page_follows_from_the_stored_results():
    stored, text = reference.read(), family.PAGE.read_text(encoding="utf-8")
    fresh = family.refreshed(text, family.contests(stored), family.commits_of(stored))
    assert text == fresh, "run: python docs/site/family.py"


def test_the_page_of_the_own_model_follows_from_the_stored_results():
    text = own_model.PAGE.read_text(encoding="utf-8")
    assert text == own_model.refreshed(text, reference.read()), "run: python docs/site/own_model.py"


def test_the_page_of_packages_follows_from_the_stored_results():
    stored, text = reference.read(), peers.PAGE.read_text(encoding="utf-8")
    assert text == peers.refreshed(text, stored), "run: python docs/site/peers.py"
    compared = peers.compared(stored)
    assert not {"totalanvi", "mvae_sup", "oracle"} & {*compared["package"], *compared["own"]}
    (of_totalvi,) = [line for line in text.splitlines() if line.startswith("| `totalvi` (package)")]
    assert of_totalvi.split(" | ")[1:3] == ["–", "–"]  # only its joint latents
    assert of_totalvi.split(" | ")[3].endswith("*")  # of proteins alone
    assert "`seurat_spca`" in peers.absent(stored) and "`univi`" not in peers.absent(stored)


def test_the_page_of_donors_follows_from_the_stored_results():
    stored, text = reference.read(), donors.PAGE.read_text(encoding="utf-8")
    assert text == donors.refreshed(text, stored), "run: python docs/site/donors.py"
    found = donors.means(stored, "foscttm", family.metadata_of(stored))
    scores = stored.scores.query("dataset == 'covid_citeseq_small' and scenario == 'donor'")
    values = scores.query("run == 'cca' and metric == 'foscttm' and seed < 3")["value"]
    assert found.loc["cca", "donor"] == pytest.approx(values.mean())
    assert not {"oracle", "mmvae_sup", "knn_impute"} & set(found.index)


def test_orders_are_compared_with_that_of_random_cells():
    found = pd.DataFrame(
        {"paired": [0.1, 0.2, 0.3], "donor": [0.4, 0.5, 0.6], "severe": [0.5, 0.4, 0.3]},
        index=["mmvae", "cca", "mvae"],
    )
    text = donors.sentence(found, sign=-1.0)
    assert text.startswith("of 3 methods the first is `mmvae` with random cells, ")
    assert "`mmvae` with one donor (tau 1.00)" in text
    assert text.endswith("`mvae` with severe COVID-19 (tau -1.00).")


def test_a_run_of_one_seed_is_in_no_contest():
    stored = reference.read()
    is_own = stored.scores["run"] == "contrastive_vae"
    fewer = replace(stored, scores=stored.scores[~is_own | (stored.scores["seed"] == 0)])
    assert "contrastive_vae" in set(family.contests(stored)["deep"])
    assert "contrastive_vae" not in set(family.contests(fewer)["deep"])


def test_a_contest_is_between_the_best_of_each_kind_by_common_seeds():
    values = {
        ("deep", "mvae"): [0.10, 0.20, 0.30],
        ("deep", "mmvae"): [0.3, 0.3, 0.3],
        ("linear", "cca"): [0.20, 0.31, 0.39],
        ("linear", "ridge"): [0.9, 0.9, 0.9],
    }
    rows = pd.DataFrame(
        [
            {"kind": kind, "run": run, "seed": seed, "value": value}
            for (kind, run), of_run in values.items()
            for seed, value in enumerate(of_run)
        ]
    )
    found = family.contest(rows, sign=-1.0)  # lower is better
    assert (found["deep"], found["linear"], found["seeds"]) == ("mvae", "cca", 3)
    assert found["deep_mean"] == pytest.approx(0.2) and found["linear_mean"] == pytest.approx(0.3)
    assert found["difference"] == pytest.approx(0.1)
    # differences 0.10, 0.11, 0.09: sd 0.01, so half is 4.302653 x 0.01 / sqrt(3)
    assert found["low"] == pytest.approx(0.1 - 0.0248414, abs=1e-6)
    assert (found["ahead"], found["deep_runs"]) == (1, 2)
    assert family.verdict(pd.Series(found)) == "deep"
