"""Probes of frozen encoders: controls are where theory puts them, and a file's cells find their rows."""

import anndata
import numpy as np
import pandas as pd
import pytest
from mosaicbench_fits import LIMITS, assert_same_outputs, poisoned, run_of, seeds_of
from mosaicbench_splits import cut_small

from mosaicbench.commands import fit, score
from mosaicbench.datasets import simulated
from mosaicbench.errors import ContractError
from mosaicbench.files.runs import read_record
from mosaicbench.files.scores import read_scores
from mosaicbench.files.splits import read_split, standardised_values
from mosaicbench.fitting.external import Names, vectors_from

CELLS, TYPES = 600, 4
RUNS = {
    "cca": ("cca", {}),
    "ridge": ("ridge", {}),
    "genes": ("probe", {"embedding": "genes"}),
    "pca": ("probe", {"embedding": "pca"}),
    "noise": ("probe_control", {"embedding": "noise"}),
    "oracle": ("probe_control", {"embedding": "oracle"}),
}
BOTH = ("rna->adt", "adt->rna")


def cut(folder, kind="paired", **options):
    dataset = simulated.load(
        None, cells=CELLS, n_rna=120, n_adt=30, modalities=("rna", "adt"), cell_types=TYPES
    )
    return cut_small(dataset, kind, folder, **options)


def fit_all(split, folder, runs, scenario="paired"):
    described = [
        run_of(method, [folder / name], run=name, hyperparameters=given, scenario=scenario)
        for name, (method, given) in runs.items()
    ]
    fit.main(runs=described, seeds=seeds_of([split], [0]), limits=LIMITS)
    return folder


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return cut(tmp_path_factory.mktemp("split"))


@pytest.fixture(scope="module")
def fits(split, tmp_path_factory):
    return fit_all(split, tmp_path_factory.mktemp("fits"), RUNS)


@pytest.fixture(scope="module")
def scores(split, fits):
    """Return run -> (metric, direction) -> score."""
    found = {}
    for run in RUNS:
        groups = ["alignment", "label_transfer", "imputation", "calibration"]
        score.main(runs=[fits / run], splits=[split], groups=groups, outputs=[fits / run])
        table = read_scores(fits / run / "scores.tsv")
        found[run] = table.set_index(["metric", "direction"])["value"]
    return found


def own_rna(split):
    """Return RNA's standardised values of all cells, by the dataset's own names."""
    train, query, solution = (
        read_split(split / f"{part}.h5mu", part) for part in ("train", "query", "solution")
    )
    names = Names.of(train, query, solution)
    rows = []
    for part, of_part in ((train, names.train["rna"]), (query, names.query["rna"])):
        x = pd.DataFrame(standardised_values(part["rna"]), index=part["rna"].obs_names)
        rows.append(x.loc[of_part].set_axis(of_part.index))
    return pd.concat(rows), names


def written(path, rows):
    """Write vectors by the names of their cells, and return the path."""
    anndata.AnnData(rows.to_numpy(), obs=pd.DataFrame(index=rows.index)).write_h5ad(path)
    return path


@pytest.mark.parametrize("metric", ["foscttm", "recall_at_10", "label_transfer_accuracy"])
def test_genes_have_the_latents_of_cca_and_pca_nearly(scores, metric):
    for direction in BOTH:
        wanted = scores["cca"][metric, direction]
        assert scores["genes"][metric, direction] == pytest.approx(wanted, abs=1e-6)
        assert scores["pca"][metric, direction] == pytest.approx(wanted, abs=0.03)


def test_genes_are_imputed_and_impute_as_by_ridge(scores):
    skill, wanted = "imputation_skill", scores["ridge"]
    assert wanted[skill, "rna->adt"] > 0.1
    assert scores["genes"][skill, "rna->adt"] == pytest.approx(wanted[skill, "rna->adt"], abs=5e-3)
    assert scores["pca"][skill, "rna->adt"] == pytest.approx(wanted[skill, "rna->adt"], abs=0.03)
    direct = wanted[skill, "adt->rna"]
    for run in ("genes", "pca"):  # through the embedding
        assert scores[run][skill, "adt->rna"] == pytest.approx(direct, abs=0.02)


@pytest.mark.parametrize("direction", BOTH)
def test_noise_is_at_chance(scores, direction):
    noise = scores["noise"]
    assert noise["foscttm", direction] == pytest.approx(0.5, abs=0.07)
    assert noise["recall_at_10", direction] == pytest.approx(10 / (CELLS / 5), abs=0.05)
    assert noise["imputation_skill", direction] == pytest.approx(0, abs=0.01)


def test_noise_transfers_labels_at_chance(split, scores):
    """Train cells' own noise, to which CCA fits, makes it a little better from RNA."""
    balanced, others = "label_transfer_balanced_accuracy", "label_transfer_accuracy_without_partner"
    noise = scores["noise"]
    assert noise[balanced, "adt->rna"] == pytest.approx(1 / TYPES, abs=0.1)
    assert noise[balanced, "rna->adt"] < 2 / TYPES < scores["genes"][balanced, "rna->adt"]
    types = read_split(split / "solution.h5mu", "solution")["rna"].obs["cell_type"]
    most = types.value_counts(normalize=True).max()
    for direction in BOTH:
        assert noise[others, direction] < most + 0.1 < scores["genes"][others, direction]


def test_the_oracle_is_at_the_top(scores):
    oracle, ridge = scores["oracle"], scores["ridge"]
    for direction in BOTH:
        assert oracle["foscttm", direction] == 0
        assert oracle["recall_at_10", direction] == 1
    assert oracle["imputation_skill", "rna->adt"] > 0.95
    # no encoder of RNA changes what proteins say of it
    wanted = ridge["imputation_skill", "adt->rna"]
    assert oracle["imputation_skill", "adt->rna"] == pytest.approx(wanted, abs=0.01)


def test_draws_of_rna_through_the_embedding_are_calibrated(scores):
    for direction in BOTH:
        assert scores["genes"]["coverage_90", direction] == pytest.approx(0.9, abs=0.06)


def test_a_files_rows_are_found_by_name(tmp_path):
    split = cut(tmp_path / "split", "mosaic", paired_fraction=0.5)
    rna, _ = own_rna(split)
    rows = pd.concat([rna, pd.DataFrame(7.0, ["of another study"], rna.columns)])
    rows = rows.sample(frac=1, random_state=0)
    x, runs = rows.to_numpy(), {"genes": RUNS["genes"]}
    for key in ("X", "X_mine"):
        table = anndata.AnnData(x if key == "X" else x[:, :1], obs=pd.DataFrame(index=rows.index))
        table.obsm["X_mine"] = x if key == "X_mine" else x[:, ::-1]
        table.write_h5ad(tmp_path / f"{key}.h5ad")
        runs[key] = ("probe", {"embedding": str(tmp_path / f"{key}.h5ad"), "key": key})
    done = fit_all(split, tmp_path, runs, "mosaic")
    for run in ("X", "X_mine"):
        assert_same_outputs(done / run, done / "genes")


def test_a_probe_reads_only_names_of_the_solution(split, tmp_path):
    rna, _ = own_rna(split)
    path = written(tmp_path / "file.h5ad", rna)
    runs = {"file": ("probe", {"embedding": str(path)})}
    dirty = poisoned(split, tmp_path / "dirty")
    folders = [fit_all(one, tmp_path / one.name, runs) / "file" for one in (split, dirty)]
    assert_same_outputs(*folders)


def test_a_wrong_file_is_one_message_with_file_number_and_cells(split, tmp_path):
    rna, names = own_rna(split)

    def message(rows, key="X"):
        path = written(tmp_path / "file.h5ad", rows)
        with pytest.raises(ContractError) as error:
            vectors_from(path, key, names)
        assert str(path) in str(error.value)
        return str(error.value)

    assert f"5 of {CELLS}" in message(rna.iloc[5:])
    assert all(name in message(rna.iloc[5:]) for name in rna.index[:3])
    assert rna.index[3] not in message(rna.iloc[5:])
    assert "NaN" in message(rna.assign(**{"0": np.nan}))
    assert rna.index[0] in message(pd.concat([rna, rna.iloc[:1]]))
    assert "X_scGPT" in message(rna, key="X_scGPT")


def test_a_wrong_file_ends_its_own_run_alone_with_the_reason(split, tmp_path):
    rna, _ = own_rna(split)
    path = written(tmp_path / "lacking.h5ad", rna.iloc[5:])
    runs = {"lacking": ("probe", {"embedding": str(path)}), "cca": RUNS["cca"]}
    done = fit_all(split, tmp_path / "runs", runs)
    record = read_record(done / "lacking/run.json")
    assert record["status"] == "crashed"
    assert f"lacking.h5ad: it lacks 5 of {CELLS} cells" in record["message"]
    assert read_record(done / "cca/run.json")["status"] == "ok"
