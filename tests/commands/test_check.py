"""`check`: what a config's datasets hold and what is wrong with each of them, before anything is written or fitted."""

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import sparse

from mosaicbench import cli

N = 60


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a config of datasets; files of counts are beside it."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name, features, first in (("rna", 30, 0), ("adt", 6, 0), ("other", 6, N)):
        obs = pd.DataFrame(
            {"type": ["B", "T"] * (N // 2), "donor": ["x", "y", "z"] * (N // 3)},
            index=[f"c{first + cell}" for cell in range(N)],
        )
        counts = sparse.csr_matrix(random.poisson(3, (N, features)).astype(np.float32))
        cells = anndata.AnnData(counts, obs=obs)
        cells.var_names = [f"{name}{feature}" for feature in range(features)]
        cells.write_h5ad(f"{name}.h5ad")

    def written(datasets, **more):
        runs = {"mvae": None, "cca": None, "train_mean": None}
        paired = {"paired": {"kind": "paired"}}
        config = {"datasets": datasets, "runs": runs, "scenarios": paired} | more
        (tmp_path / "my.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        return ["check", "my.yaml"]

    return written


def mine(**more):
    return {"path": {"rna": "rna.h5ad", "adt": "adt.h5ad"}, "cell_type": "type"} | more


def test_a_good_config_is_described_and_nothing_is_written(write, tmp_path, capsys):
    command = write({"mine": mine(batch="donor")})
    before = sorted(tmp_path.iterdir())
    cli.main(command)
    said = capsys.readouterr().out
    assert "mine: 60 cells, measured in rna and adt: 60" in said
    assert "mine: adt: 60 cells, 6 features" in said
    assert "mine: 2 cell types (obs column 'type'): B: 30; T: 30" in said
    assert "mine: batches (3): x: 20; y: 20; z: 20" in said
    assert "mine: scenario paired: 48 train cells, 12 query cells" in said
    assert "warnings: 1" in said
    assert "mine: warning: cells: 60 can be drawn for the query" in said
    assert sorted(tmp_path.iterdir()) == before


def test_all_datasets_that_cannot_be_used_are_named_with_their_remedy(write, capsys):
    datasets = {
        "first": mine(cell_type="typ"),
        "fine": mine(),
        "twice": mine(path={"rna": "rna.h5ad", "adt": "rna.h5ad"}),
    }
    with pytest.raises(SystemExit) as ended:
        cli.main(write(datasets))
    message = str(ended.value.code)  # a text, so the exit status is 1
    assert "first: cell_type: " in message and "did you mean 'type'" in message
    assert "twice: " in message and "fine" not in message
    assert "fine: 60 cells" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("scenario", "key"),
    [
        ({"kind": "paired", "split": {"by": "sample"}}, "split.by"),
        ({"kind": "paired", "split": {"by": "batch", "held_out": ["w"]}}, "split.held_out"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(write, scenario, key):
    with pytest.raises(SystemExit, match=f"mine, scenario own: {key}"):
        cli.main(write({"mine": mine(batch="donor")}, scenarios={"own": scenario}))


def test_runs_that_cannot_learn_in_a_scenario_are_named(write, capsys):
    apart = mine(path={"rna": "rna.h5ad", "adt": "other.h5ad"})
    scenarios = {
        "own": {"kind": "as_measured"},
        "hidden": {"kind": "unpaired", "datasets": ["mine"]},
    }
    cli.main(write({"mine": mine(), "apart": apart}, scenarios=scenarios))
    lines = [line for line in capsys.readouterr().out.splitlines() if "WARNING" in line]
    assert {line.split(" has no pairs")[0] for line in lines} == {
        "WARNING: mine: scenario 'hidden'",
        "WARNING: apart: scenario 'own'",
    }
    assert all("chance: mvae;" in line for line in lines)


def test_files_that_are_still_to_be_fetched_are_named_and_no_mistake(write, capsys):
    cli.main(write({"pbmc10k_citeseq": None}))
    assert "mosaicbench fetch pbmc10k_citeseq" in capsys.readouterr().out
