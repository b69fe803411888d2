"""`mosaicbench challenge`: a new run beside the stored ones, on the stored splits."""

import json
import re
import subprocess
import sys

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest

from mosaicbench import cli
from mosaicbench.catalog import catalog
from mosaicbench.commands import challenge as command
from mosaicbench.files import reference
from mosaicbench.files.scores import KEYS, read_scores
from mosaicbench.files.tables import read_table

DATASET = "bmmc_cite_small"
PLACE = f"{DATASET}/paired"
METHOD = '''"""Noise of one width."""

from dataclasses import dataclass

from mosaicbench.methods.controls import RandomLatent

CARD = {
    "label": "Mine",
    "kind": "model",
    "summary": "Noise.",
    "scenarios": ("paired",),
    "inputs": (),
    "outputs": ("joint", "single"),
    "paper": "Me 2026",
}


@dataclass
class Mine(RandomLatent):
    """Noise."""

    max_epochs: int = 7
'''


@pytest.fixture(scope="module", autouse=True)
def in_one_process():
    """Score without a fork: numba ends a forked process if tests before these used its threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "CORES", 1)
        yield


def challenge(*words, output):
    cli.main(["challenge", *words, "--datasets", DATASET, "--output", str(output)])


def table(folder, name):
    return read_table(folder / f"tables/{name}.tsv")


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("splits")
    cli.main(["challenge", "--splits", str(folder), "--datasets", DATASET, "--seeds", "0", "1"])
    return folder


def test_a_stored_run_refitted_in_a_fresh_process_has_the_stored_scores_and_another_seed_is_alike(
    tmp_path,
):
    """`linear` has the latents of CCA and the values of ridge. Another processor moves a cell or two."""
    words = ["--method", "linear", "--datasets", DATASET, "--seeds", "0", "50"]
    words = [sys.executable, "-m", "mosaicbench", "challenge", *words, "--output", str(tmp_path)]
    said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    inside, total = map(int, re.search(r"(\d+) of (\d+) scores", said).groups())
    assert total >= 8 and inside >= 0.75 * total  # seed 0 is stored, and so inside
    assert not (tmp_path / "report.html").exists()
    stored = reference.read().scores.set_index(KEYS)["value"].dropna()
    new = read_scores(tmp_path / f"runs/{PLACE}/linear-new/scores.tsv")
    new = new[(new["seed"] == 0) & ~new["metric"].str.endswith(("seconds", "_mb"))]
    new = new.assign(run="linear").set_index(KEYS)["value"].dropna()
    assert len(new) > 5
    apart = (new - stored[new.index]).abs()
    of_seeds = stored.groupby([key for key in KEYS if key != "seed"])
    spread = (of_seeds.max() - of_seeds.min()).reindex(new.index.droplevel("seed")).to_numpy()
    assert (apart <= 1e-6).mean() > 0.9
    assert (apart <= np.maximum(spread, 1e-6)).all()


@pytest.fixture
def catalogue():
    """Forget the methods that a test adds to this process."""
    yield
    catalog.ADDED.clear()
    for cached in (catalog.names, catalog._entries, catalog.card, catalog.module):
        cached.cache_clear()


@pytest.mark.usefixtures("catalogue")
def test_an_own_file_is_ranked_beside_the_stored_runs(tmp_path, capsys):
    (tmp_path / "mine_of_a_file.py").write_text(METHOD)
    challenge(str(tmp_path / "mine_of_a_file.py"), "--against", "cca", output=tmp_path / "out")
    printed = capsys.readouterr().out
    assert re.search(r"mine_of_a_file +foscttm +0\.[45]", printed)
    headline = table(tmp_path / "out", "headline").set_index("run")
    assert {"mine_of_a_file", "cca", "oracle"} <= set(headline.index)
    tests = table(tmp_path / "out", "paired_tests")
    own = tests[(tests["run"] == "mine_of_a_file") & (tests["metric"] == "foscttm")]
    (row,) = own[own["role"].str.startswith("best")].to_dict("records")
    assert row["seeds"] == 3 and row["test"] == "splits and cells" and row["p_holm"] < 0.05
    assert "mine_of_a_file" in (tmp_path / "out/report.html").read_text()
    record = tmp_path / f"out/runs/{PLACE}/mine_of_a_file/seed-0/run.json"
    settings = json.loads(record.read_text())["hyperparameters"]
    assert settings["max_epochs"] == 7  # the class's own, not the budget of a benchmark


def test_all_runs_are_fitted_before_any_is_scored(monkeypatch, tmp_path):
    """Scoring starts threads in its process; a fit that is forked after that would wait for them for ever."""
    with (tmp_path / "done").open("a", buffering=1) as done:  # processes do the work
        monkeypatch.setattr(command, "_make_split", lambda bench, digests, place: None)
        monkeypatch.setattr(command, "_fit", lambda bench, place: done.write("fit\n"))
        monkeypatch.setattr(command, "_check_ended", lambda bench, place: None)
        monkeypatch.setattr(command.score, "main", lambda **job: done.write("score\n"))
        monkeypatch.setattr(command, "_predicted", lambda bench, stored: "")
        datasets = [DATASET, "teaseq_small"]
        command.main(method="cca", datasets=datasets, seeds=[50], output=tmp_path)
    assert (tmp_path / "done").read_text().split() == ["fit", "fit", "score", "score"]


def test_splits_for_elsewhere_hold_no_solution(splits):
    files = {path.relative_to(splits / PLACE).as_posix() for path in splits.rglob("*.*")}
    assert files == {f"seed-{seed}/{part}.h5mu" for seed in (0, 1) for part in ("query", "train")}


def test_latents_of_a_pattern_are_scored(splits, tmp_path, monkeypatch):
    """Noise: FOSCTTM is near 0.5. Figures and report are in the test of an own file."""
    for page in (command.draw, command.report):
        monkeypatch.setattr(page, "main", lambda **job: None)
    for seed in (0, 1):
        query = mudata.read_h5mu(splits / PLACE / f"seed-{seed}/query.h5mu")
        random = np.random.default_rng(seed)
        parts = []
        for source, cells in query.mod.items():
            obs = pd.DataFrame({"cell": cells.obs_names, "source": source})
            obs.index = obs.index.astype(str) + source
            z = random.normal(size=(cells.n_obs, 5)).astype(np.float32)
            parts.append(anndata.AnnData(z, obs=obs))
        whole = anndata.concat(parts)
        whole.uns["mosaicbench"] = dict(query.uns["mosaicbench"])
        whole.write_h5ad(tmp_path / f"{DATASET}-paired-{seed}.h5ad")
    pattern = str(tmp_path / "{dataset}-{scenario}-{seed}.h5ad")
    words = ("--latents", pattern, "--seeds", "0", "1", "--against", "cca")
    challenge(*words, output=tmp_path / "out")
    headline = table(tmp_path / "out", "headline").set_index("run")
    assert {"cca", "latents"} <= set(headline.index) and "ridge" not in headline.index
    foscttm = headline[headline["metric"] == "foscttm"].loc["latents", "mean"]
    assert foscttm == pytest.approx(0.5, abs=0.06)


def test_a_split_with_another_digest_is_refused(tmp_path, monkeypatch):
    stored = reference.read()
    for one in stored.splits:
        one["digest"] = "0" * 16
    monkeypatch.setattr(reference, "read", lambda: stored)
    with pytest.raises(SystemExit, match="differ from those of the stored results; delete"):
        challenge("--method", "cca", "--seeds", "0", output=tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name one of: .*--method, --latents"),
        (["--method", "cca", "--latents", "x"], "name one of"),
        (["--method", "cca", "--scenario", "paird"], "--scenario: .*did you mean 'paired'"),
        (["missing.py"], "missing.py: no such .py file"),
    ],
)
def test_mistakes_say_what_to_do(words, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        challenge(*words, output=tmp_path)


@pytest.mark.usefixtures("catalogue")
def test_a_method_that_fails_is_named_with_its_reason(tmp_path):
    file = tmp_path / "fails_in_fit.py"
    file.write_text(
        f"{METHOD}\n    def fit(self, train, seed):\n        raise RuntimeError('no luck')\n"
    )
    with pytest.raises(SystemExit, match="fails_in_fit: crashed: .*no luck"):
        challenge(str(file), "--seeds", "0", output=tmp_path / "out")
    assert not (tmp_path / "out/report.html").exists()


def test_a_run_to_compare_with_that_is_not_stored_is_refused_before_anything_is_fitted(tmp_path):
    message = "--against: no stored run 'totalvy'; did you mean 'totalvi'"
    with pytest.raises(SystemExit, match=message):
        challenge("--method", "cca", "--against", "totalvy", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
