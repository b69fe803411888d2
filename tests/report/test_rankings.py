"""Rankings and their LaTeX: means, ranks, what is missing, what failed."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from made_up_scores import CARDS, runs_of, scores_of
from numpy.testing import assert_allclose

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import RunMetadata
from mosaicbench.report import latex, theme
from mosaicbench.report.tables.contract import RANKING_COLUMNS
from mosaicbench.report.tables.rankings import rankings
from mosaicbench.stats.common import ALL, RUN
from mosaicbench.stats.means import headline
from mosaicbench.stats.overall import overall, ranks
from mosaicbench.stats.paired import paired_tests

ODD = "my_run&50%"  # an ablation of mvae, which diverged
VALUES = {
    ("mvae", "foscttm"): [0.095, 0.105],
    ("mvae", "imputation_skill"): [0.495, 0.505],
    ("mvae", "fit_seconds"): [3.0, 4.0],
    ("mvae", "label_floor"): [0.1, 0.1],
    ("mmvaepp", "foscttm"): [0.195, 0.205],
    ("mmvaepp", "imputation_skill"): [0.595, 0.605],
    (ODD, "foscttm"): [None, None],
    ("cca", "foscttm"): [0.295, 0.305],
    ("oracle", "foscttm"): [0.0, 0.0],
    ("oracle", "imputation_skill"): [1.0, 1.0],
    ("random_latent", "foscttm"): [0.495, 0.505],
}
RUNS = {run for run, _ in VALUES}
ROSTER = RunMetadata(CARDS | {"metrics": catalog.cards("metrics")}, {ODD: "mvae"})


def _rankings(**absent):
    """Return the rankings of datasets, given with their runs that are not applicable."""
    scores, runs = [], []
    for dataset, not_applicable in absent.items():
        values = {key: by for key, by in VALUES.items() if key[0] not in not_applicable}
        scores.append(scores_of(values, dataset=dataset))
        runs.append(runs_of(scores[-1], not_applicable=not_applicable))
    scores, runs = pd.concat(scores, ignore_index=True), pd.concat(runs, ignore_index=True)
    tables = {
        "headline": headline(scores),
        "overall": overall(scores, runs, ROSTER),
        "ranks": ranks(scores, ROSTER),
        "runs": runs,
        "paired_tests": paired_tests(scores, [], ROSTER),
    }
    return rankings(tables, ROSTER)


STANDINGS = _rankings(d_1=[], e=["mmvaepp"])
THEME = theme.Theme(theme._read_display(theme.DISPLAY), ROSTER)


def _of(dataset, metric):
    rows = STANDINGS[(STANDINGS["dataset"] == dataset) & (STANDINGS["metric"] == metric)]
    return rows.set_index("run")


def test_every_run_has_a_row_in_every_score_of_its_split():
    assert list(STANDINGS.columns) == RANKING_COLUMNS
    assert not STANDINGS.duplicated([*RUN, "metric"]).any()
    assert set(STANDINGS.groupby(["dataset", "metric"])["run"].nunique()) == {len(RUNS)}
    assert "label_floor" not in set(STANDINGS["metric"])
    assert set(STANDINGS["dataset"]) == {"d_1", "e", ALL}


def test_places_are_among_models_and_baselines_by_the_mean():
    foscttm = _of("d_1", "foscttm")
    assert foscttm["rank"].dropna().to_dict() == {"mvae": 1, "mmvaepp": 2, "cca": 3}
    assert foscttm.loc["mvae", "best"] and not foscttm.loc["oracle", "best"]
    level = foscttm.index[foscttm["level"]]
    assert level.tolist() == ["mvae"]  # others differ by the same in each seed
    assert set(foscttm["ranked"].dropna()) == {3}
    assert_allclose(foscttm.loc["mvae", ["mean", "sd"]].astype(float), [0.1, 0.01 / 2**0.5])
    # t of one degree of freedom: 12.7 x 0.005
    assert foscttm.loc["mvae", "shown"] == "0.100 [0.036, 0.164]"
    assert _of("d_1", "imputation_skill").loc["mmvaepp", "rank"] == 1
    assert not _of("d_1", "fit_seconds")["best"].any()


def test_what_is_missing_is_a_dash_and_what_failed_a_cross_and_neither_a_number():
    for metric in ("foscttm", "imputation_skill", "fit_seconds", "score"):
        rows = _of("d_1", metric)
        assert rows.loc[ODD, "shown"] == "✗ diverged"
        assert np.isnan(rows.loc[ODD, "mean"])
    assert _of("d_1", "imputation_skill").loc["cca", "shown"] == "–"
    absent = _of("e", "foscttm").loc["mmvaepp", ["shown", "status", "of_seeds"]]
    assert absent.tolist() == ["–", "not_applicable", 0]
    assert _of("d_1", "score").loc["cca", "shown"] == "–"
    assert _of("d_1", "alignment").loc["cca", "rank"] == 3
    assert np.isnan(_of("d_1", "score").loc["cca", "rank"])


def test_over_datasets_only_runs_of_all_of_them_have_a_mean_and_ranks_come_with_intervals():
    whole = _of(ALL, "foscttm")
    assert_allclose(whole.loc["mvae", "mean"], 0.1)
    assert whole.loc["mmvaepp", "shown"] == "–" or np.isnan(whole.loc["mmvaepp", "mean"])
    assert whole.loc["mvae", ["rank", "rank_low", "rank_high"]].tolist() == [1, 1, 1]
    assert whole.loc["mvae", "best"] and not whole.loc["cca", "best"]
    assert set(_rankings(d_1=[])["dataset"]) == {"d_1"}


def test_latex_escapes_bolds_dashes_and_crosses():
    text = latex.latex_tables(STANDINGS[STANDINGS["dataset"] == "d_1"], THEME)
    assert r"my\_run\&50\%" in text
    assert r"\caption{Alignment: d\_1, paired" in text
    bold = re.findall(r"\\textbf\{([^}]*)\{", text)
    assert "0.100 " in bold and "0.000" not in " ".join(bold)
    lines = text.splitlines()
    failed = [line for line in lines if line.startswith(r"my\_run")]
    assert failed and all(line.endswith(r"& $\times$ diverged \\") for line in failed)
    assert any(line.startswith("cca") and line.endswith(r"-- \\") for line in lines)
    tables = text.split(r"\begin{table}")[1:]
    assert len(tables) == STANDINGS.loc[STANDINGS["dataset"] == "d_1", "group"].nunique()
    for table in tables:
        head, body = table.split(r"\midrule")
        rows = body.split(r"\bottomrule")[0].strip().splitlines()
        assert len(rows) == len(RUNS)
        widths = {line.replace(r"\&", "").count("&") for line in [*rows, head.splitlines()[-1]]}
        assert len(widths) == 1


@pytest.mark.parametrize("text", [r"a_b % & # $ { } ~ ^ \ < > |", "β → ✗ – † ± ≥ 𝔘"])
def test_no_letter_is_left_that_latex_would_take_for_a_command(text):
    found = latex.escaped(text)
    assert not re.search(r"(?<!\\)[_%&#]", found)
    assert all(ord(letter) < 256 for letter in found)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_tables_can_be_set(tmp_path):
    parts = [latex.latex_tables(rows, THEME) for _, rows in STANDINGS.groupby(["dataset"])]
    packages = r"\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}" + "\n".join(parts)
    (tmp_path / "all.tex").write_text(document + r"\end{document}", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
