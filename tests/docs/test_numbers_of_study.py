"""The numbers of studies: means, differences and epochs, and the sentences of pages and cards that quote them."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from mosaicbench.catalog import catalog
from mosaicbench.files.tables import read_table
from mosaicbench.stats.common import half_width

sys.path.insert(0, str(REPOSITORY / "docs/site"))

from numbers_of_study import COLUMNS, PAGES, numbers  # noqa: E402

STANZAS = {}
for method in ("mmvae", "mmvaepp"):
    STANZAS |= {method: None, f"{method}-last": {"method": method, "weights": "last"}}
QUOTED = re.compile(r"(?<![\w.])[-+−]?\d\.\d{2,3}(?!\d)")


def made(*, swept):
    """Return scores of three draws of two sizes; only the sweep has the size."""
    random = np.random.default_rng(0)
    rows = []
    for x in (20, 100):
        for draw in (1, 2, 3):
            place = (f"gp-{x}-{draw}", "paired")
            rows += [(*place, run, 0, x, random.random()) for run in STANZAS]
    keys = ["dataset", "scenario", "run", "seed"]
    scores = pd.DataFrame(rows, columns=[*keys, "x", "value"]).assign(metric="foscttm", status="ok")
    scores = scores.assign(direction="mean", normalization="", panel="GP", line=scores["run"])
    history = scores[keys].assign(loss="kept", epoch=np.arange(len(scores)), value=1.0)
    sweep = scores if swept else scores[:0]
    return {"scores": scores.drop(columns="x"), "sweep": sweep, "history": history}


def test_a_sweep_is_a_mean_over_its_draws_and_compares_methods_of_equal_settings():
    tables = made(swept=True)
    found = numbers(tables, STANZAS)
    assert list(found.columns) == COLUMNS
    chosen = found[(found["run"] == "mmvaepp-last") & (found["x"] == 20)].set_index("against")
    assert list(chosen.index) == ["", "mmvae-last"]
    values = tables["sweep"].query("x == 20").set_index("dataset").groupby("run")["value"]
    own, other = values.get_group("mmvaepp-last"), values.get_group("mmvae-last")
    assert chosen.loc["", "mean"] == pytest.approx(own.mean()) and chosen.loc["", "n"] == 3
    assert chosen.loc["", "high"] == pytest.approx(own.mean() + half_width(own.to_numpy()))
    gaps = own - other
    assert chosen.loc["mmvae-last", "mean"] == pytest.approx(gaps.mean())
    assert chosen.loc["mmvae-last", "low"] == pytest.approx(
        gaps.mean() - half_width(gaps.to_numpy())
    )
    assert chosen.loc["mmvae-last", "ahead"] == (gaps < 0).sum()  # a lower FOSCTTM is better
    epochs = tables["history"].query("run == 'mmvaepp-last' and dataset.str.startswith('gp-20-')")[
        "epoch"
    ]
    assert (chosen["epoch_kept"] == epochs.mean()).all()
    assert set(found.loc[found["against"] != "", "run"]) == {"mmvaepp", "mmvaepp-last"}


def test_without_a_sweep_a_run_is_compared_with_the_first_of_its_method():
    found = numbers(made(swept=False), STANZAS)
    gaps = found[found["against"] != ""]
    assert set(zip(gaps["run"], gaps["against"], strict=True)) == {
        ("mmvae-last", "mmvae"),
        ("mmvaepp-last", "mmvaepp"),
    }
    assert gaps["low"].isna().all() and (gaps["n"] == 1).all()


@pytest.mark.parametrize("page", ["private_variation", "departures", "vaeomics"])
def test_what_a_page_says_before_its_tables_is_in_its_table_of_numbers(page):
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8").split("<!-- measured -->")[0]
    known = quotable(page) | (quotable("annealing") if page == "private_variation" else set())
    quoted = QUOTED.findall(re.sub(r"`[^`]*`", "", text))
    assert quoted and not [number for number in quoted if number.lstrip("+-−") not in known]


def test_prices_of_departures_on_cards_are_in_the_table():
    cards = {name: card.get("deviates", "") for name, card in catalog.cards("methods").items()}
    priced = {name: text for name, text in cards.items() if "results/departures.md" in text}
    assert {"mmvae", "mvae", "mmvaepp", "vae_poe", "vae_mlp", "mmaavi"} <= set(priced)
    for name, text in priced.items():
        table = read_table(PAGES / "departures.tsv")
        assert not set(re.findall(r"(?<![\w.])\d\.\d{3}(?!\d)", text)) - rounded(
            table[table["method"] == name]
        ), name


def quotable(page):
    """Return the numbers of a page's table as a sentence may write them."""
    return rounded(read_table(PAGES / f"{page}.tsv"))


def rounded(table):
    """Return means and ends of intervals with two and three decimals, without their sign."""
    values = np.abs(table[["mean", "low", "high"]].to_numpy(dtype=float).ravel())
    return {f"{value:.{decimals}f}" for value in values[~np.isnan(values)] for decimals in (2, 3)}
