"""What is recommended is the best run of each question, with those that the paired tests do not tell from it."""

import numpy as np
import pandas as pd
import pytest

from mosaicbench import cli
from mosaicbench.files.scores import SCORE_COLUMNS
from mosaicbench.files.tables import write_table
from mosaicbench.report.recommendation import recommended
from mosaicbench.report.roster import roster_of
from mosaicbench.report.tables.contract import RUN_COLUMNS
from mosaicbench.statistics.paired import paired_tests
from mosaicbench.statistics.summary import headline

SEEDS = range(6)
METHODS = ("mvae", "mmvae", "cca", "oracle")
# metric -> run -> mean; mmvae is as good as mvae but for noise, cca is far behind, the oracle does not compete
MEANS = {
    "foscttm": {"mvae": 0.10, "mmvae": 0.101, "cca": 0.30, "oracle": 0.0},
    "label_transfer_accuracy": {"mvae": 0.5, "mmvae": 0.5, "cca": 0.9, "oracle": 1.0},
}


@pytest.fixture
def tables():
    random = np.random.default_rng(0)
    rows = [
        ("made_up", "paired", run, seed, metric, "a->b", "-", mean + 0.01 * random.standard_normal(), "ok")
        for metric, means in MEANS.items()
        for run, mean in means.items()
        for seed in SEEDS
    ]
    columns = ["dataset", "scenario", "run", "seed", "metric", "direction", "space", "value", "status"]
    scores = pd.DataFrame(rows, columns=columns)[SCORE_COLUMNS]
    seconds = {"mvae": 20.0, "mmvae": 10.0, "cca": 1.0, "oracle": 0.1}
    of_runs = [
        {"dataset": "made_up", "scenario": "paired", "run": run, "method": run, "seed": seed, "status": "ok"}
        | {"seconds": seconds[run], "peak_host_mb": 500.0}
        for run in METHODS
        for seed in SEEDS
    ]
    runs = pd.DataFrame(of_runs).reindex(columns=RUN_COLUMNS)
    return {"headline": headline(scores), "paired_tests": paired_tests(scores, [], roster_of(runs)), "runs": runs}


def test_each_question_has_its_best_run_and_what_it_is_level_with(tables):
    found = recommended(tables, roster_of(tables["runs"])).set_index("question")
    partner, labels, speed = (found.loc[name] for name in ("finding a cell's partner", "transferring labels", "speed"))
    assert {partner["run"], partner["level_with"]} == {"mvae", "mmvae"}
    assert (labels["run"], labels["level_with"], labels["seconds"]) == ("cca", "", 1.0)
    assert speed["run"] == "cca"
    assert "imputing what was not measured" not in found.index  # nothing was imputed


def test_the_command_says_it_in_sentences_and_writes_the_table(tables, tmp_path, capsys):
    for name, table in tables.items():
        write_table(tmp_path / "tables" / f"{name}.tsv", table)
    cli.main(["recommend", str(tmp_path), "--output", str(tmp_path / "recommended.tsv")])
    said = capsys.readouterr().out
    assert "for transferring labels, take CCA" in said and "It cannot be told from" in said
    assert (tmp_path / "recommended.tsv").is_file()


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"headline\.tsv"):
        cli.main(["recommend", str(tmp_path)])
