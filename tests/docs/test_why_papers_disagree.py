"""Specifications of claims: what each runs, which pairs follow, and the statistics of the page."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from mosaicbench.config import settings

sys.path[:0] = [str(REPOSITORY / "docs/site"), str(REPOSITORY / "benchmarks")]

import specification  # noqa: E402
import why_papers_disagree as why  # noqa: E402

LISTED = specification.read_list()
CLAIM = "mmvaepp_over_mmvae"


def rows_of(effects, claim=CLAIM):
    """Return rows of specifications with given FOSCTTM advantages of each seed."""
    found = []
    every = {one.name: one for one in specification.one_at_a_time(LISTED, claim)}
    for name, values in effects.items():
        spec = every[name]
        for seed, value in enumerate(values):
            row = dict.fromkeys(specification.COLUMNS, "")
            row |= {key: str(level) for key, level in spec.levels.items()}
            row |= {"claim": claim, "specification": name, "seed": seed, "base": spec.base}
            row |= {"metric": "foscttm", "score_first": 0.3 - value, "score_second": 0.3}
            row |= {"first": "mmvaepp", "second": "mmvae", "cpu_seconds": 36.0, "commit": "012"}
            found.append(row | {"status_first": "ok", "status_second": "ok"})
    return pd.DataFrame(found, columns=specification.COLUMNS)


@pytest.mark.parametrize("claim", LISTED["claims"])
def test_a_claim_has_both_settings_and_at_most_sixty_specifications(claim):
    found = specification.one_at_a_time(LISTED, claim)
    names = [one.name for one in found]
    assert names[:2] == ["paper", "ours"] and len(set(names)) == len(names) <= LISTED["most"]
    for one in found:
        assert len(one.changes) <= 1
        for factor, level in one.changes.items():
            assert level in specification.factors_of(LISTED, claim)[factor]
    for one in [*found[:2], found[-1]]:
        bench = settings.load(specification.config_of(LISTED, one))
        assert len(bench.splits) == 1 and bench.seeds == [0, 1, 2]
        methods = [run.method for run in bench.runs.values()]
        stanza = LISTED["claims"][claim]
        assert methods == [side["method"] for side in [stanza["first"], *stanza["second"]]]


def test_a_specification_has_the_hyperparameters_of_its_levels():
    paper, ours, *_ = specification.one_at_a_time(LISTED, CLAIM)
    config = specification.config_of(LISTED, paper)
    (first, second) = config["runs"].values()
    trained = {"latent": 2, "private": 2, "warmup": 1.0, "weights": "last", "cooldown": 0}
    trained |= {"learning_rate": 0.001, "max_epochs": 143, "patience": 143}  # 1,000 steps of 7
    assert first == {"method": "mmvaepp"} | trained and second == {"method": "mmvae"} | trained
    assert specification.metric_of(LISTED, paper) == "foscttm"
    assert specification.metric_of(LISTED, changed(paper, distance="cosine")) == "foscttm_cosine"
    defaults, _ = specification.config_of(LISTED, ours)["runs"].values()
    assert defaults == {"method": "mmvaepp", "warmup": 0.1, "weights": "best", "latent": 20}
    fused = specification.specification(LISTED, "poe_over_mlp", "paper", {})
    (scenario,) = specification.config_of(LISTED, fused)["scenarios"].values()
    raw = {"transform": "raw_svd", "fit_on": "all", "standardise": False}
    assert scenario["preprocess"] == {"atac": raw, "rna": {"standardise": False}}


def changed(spec, **changes):
    return specification.specification(LISTED, spec.claim, spec.base, changes)


def test_data_without_so_many_cells_or_without_atac_have_no_such_specification():
    (paper, _, *_) = specification.one_at_a_time(LISTED, CLAIM)
    assert changed(paper, cells=3000).levels["cells"] == 3000
    assert changed(paper, cells=10000) is None  # of Gaussian processes
    assert changed(paper, data="bone marrow").levels["cells"] == 600
    linear = specification.one_at_a_time(LISTED, "deep_over_linear")[0]
    assert changed(linear, transform="raw SVD") is None
    assert changed(linear, data="nuclei", transform="raw SVD").levels["cells"] == 1519


def test_pairs_are_of_changes_that_alone_turn_the_sign():
    every = specification.one_at_a_time(LISTED, CLAIM)
    means = dict.fromkeys([one.name for one in every], 0.1)
    turned = ["paper; latent=20", "paper; steps=100", "paper; latent=10", "ours; steps=100"]
    means |= dict(zip(turned, (-0.1, -0.05, -0.3, -0.1), strict=True))
    effects = {name: [mean, mean + 0.001, mean - 0.001] for name, mean in means.items()}
    effects |= {"paper; warmup=0.2": [0.1, 0.2, -0.9], "paper; weights=best": [np.nan] * 3}
    rows = rows_of(effects)  # a turn that is not sure, and one without scores, are in no pair
    found = [one.name for one in specification.pairs(LISTED, CLAIM, rows)]
    # Two levels of one factor are no pair, nor changes of two settings; the largest effects first.
    assert found == ["paper; latent=10; steps=100", "paper; latent=20; steps=100"]
    unfinished = rows[rows["specification"] != "ours; warmup=0.2"]
    assert specification.pairs(LISTED, CLAIM, unfinished) == []


@pytest.mark.parametrize("change", [0.0, 1e-3])
def test_verified_rows_have_the_keys_of_the_present_code(change, tmp_path, monkeypatch):
    listed, path = specification.read_list(), tmp_path / "rows.tsv"
    rows = rows_of({"ours": [0.1, 0.2], "paper": [0.3, 0.4], "ours; latent=2": [0.5, 0.6]})
    specification.add(rows.assign(code_key="old"), path)

    def run_again(listed, spec, folder):
        now = rows[rows["specification"] == spec.name]
        return now.assign(score_second=now["score_second"] + change)

    monkeypatch.setattr(specification, "run", run_again)
    assert specification.verify(listed, CLAIM, path) == (change == 0)
    keys = specification.known(path).set_index("specification")["code_key"]
    spec = specification.specification(listed, CLAIM, "ours", {"latent": 2})
    now = specification.key_of(specification.config_of(listed, spec))
    assert set(keys[spec.name]) == {"old" if change else now}


def test_an_effect_is_the_advantage_of_the_first_side_with_its_interval():
    table = why.paired(rows_of({"paper": [0.1, 0.2, 0.3], "ours": [-0.1, 0.1, 0.0]}))
    paper, ours = (table.set_index("specification").loc[base] for base in ("paper", "ours"))
    assert paper["mean"] == pytest.approx(0.2)
    assert paper["low"] == pytest.approx(0.2 - 4.302653 * 0.1 / np.sqrt(3), abs=1e-6)
    assert why.verdict(ours) == why.OPEN and why.verdict(paper) == why.OPEN
    sure = why.paired(rows_of({"paper": [0.2, 0.21, 0.2], "ours": [-0.2, -0.21, -0.2]}))
    assert list(sure.apply(why.verdict, axis=1)) == [why.HOLDS, why.REVERSED]


def test_a_factors_share_is_what_it_alone_explains_within_a_setting():
    rows = pd.DataFrame("", index=range(4), columns=[*why.EFFECTS, *specification.FACTORS])
    changes = ["", "; latent=20", "; warmup=1.0", "; warmup=1.0; latent=20"]
    rows["specification"] = [f"paper{change}" for change in changes]
    rows["mean"] = [0.0, 0.1, 0.3, 0.4]  # 0.3 for the warm-up, 0.1 for the width, no interaction
    rows["base"] = "paper"
    found = why.shares(rows)
    assert list(found.index[:2]) == ["warmup", "latent"]
    np.testing.assert_allclose(found[:2], [0.9, 0.1], atol=1e-12)
    assert (found[2:] == 0).all()
    # The other setting, far away: only the width changes there, by 0.2, so 0.02 of 0.12 of squares.
    other = rows[:2].assign(base="ours", mean=[7.0, 7.2])
    other["specification"] = ["ours", "ours; latent=20"]
    both = why.shares(pd.concat([rows, other]))
    np.testing.assert_allclose(both[:2], [0.09 / 0.12, 0.03 / 0.12], atol=1e-12)
    together = rows["specification"].str.replace("warmup=1.0", "warmup=1.0; steps=100")
    rows["specification"] = together  # always changed with the warm-up: neither is known
    np.testing.assert_allclose(why.shares(rows)[["warmup", "steps"]], 0, atol=1e-12)


def test_the_figure_has_a_point_per_specification_and_marks_both_settings():
    rows = rows_of({"paper": [0.2, 0.21], "ours": [0.1, 0.0], "paper; latent=20": [-0.2, -0.1]})
    curve, bars = why.drawn(LISTED, why.paired(rows)).axes
    heights = [part.get_offsets()[:, 1] for part in curve.collections[1:]]  # after the intervals
    assert np.concatenate(heights).tolist() == pytest.approx([-0.15, 0.205, 0.05])
    labels = [label.get_text() for label in curve.get_xticklabels()]
    assert labels == ["latent=20", "ours", "paper"]
    assert {label.get_text() for label in bars.get_yticklabels()} == {"latent"}


def test_the_pages_are_those_of_the_committed_rows():
    rows = specification.known()
    assert len(rows) and why.FIGURE.is_file()
    advice = "run: python docs/site/why_papers_disagree.py"
    assert why.PAGE.read_text(encoding="utf-8") == why.page(LISTED, rows), advice
    assert why.settings_table(LISTED, rows) in why.CLAIMS.read_text(encoding="utf-8"), advice
