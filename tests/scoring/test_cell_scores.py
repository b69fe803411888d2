"""Scores of single cells: their mean is the score, and they survive the disk."""

import numpy as np
import pytest
from made_up_scores import cells_of
from numpy.testing import assert_allclose, assert_array_equal

from mosaicbench.errors import ContractError
from mosaicbench.files.scores import read_cells, write_cells
from mosaicbench.scoring import scorer
from mosaicbench.scoring.run_data import RunData

GROUPS = ("alignment", "label_transfer", "imputation")
OF_LATENTS = ("foscttm", "label_transfer_accuracy")


def run_data(n=60):
    random = np.random.default_rng(0)
    z = random.standard_normal((n, 3))
    labels = np.array([f"type {i % 3}" for i in range(n)], dtype=object)
    truth = random.standard_normal((n, 5))
    return {
        "latents": {"joint": z, "rna": z, "adt": z + 0.4 * random.standard_normal((n, 3))},
        "train_latents": dict.fromkeys(("joint", "rna", "adt"), z + 0.1),
        "train_labels": dict.fromkeys(("joint", "rna", "adt"), labels),
        "imputed": {"rna->adt": truth + random.standard_normal((n, 5))},
        "truth": {"adt": truth},
        "feature_names": {"adt": [f"adt {i}" for i in range(5)]},
        "train_mean": {"adt": truth.mean(axis=0)},
        "train_std": {"adt": truth.std(axis=0)},
        "record": {},
        "batches": np.array(["batch"] * n, dtype=object),
        "normalizations": {"adt": "clr"},
        "labels": labels,
    }


def scored(data, groups=GROUPS):
    return scorer.score(RunData(**data), groups)


def test_the_mean_over_cells_is_the_score():
    scores = scored(run_data())
    values = scores.scores.set_index(["metric", "direction", "normalization"])["value"]
    expected = {("imputation_pearson_per_cell", "rna->adt", "clr")}
    for metric in OF_LATENTS:
        for direction in ("rna->adt", "adt->rna"):
            expected |= {(metric, direction, "-"), (f"{metric}_cosine", direction, "-")}
    assert set(scores.cells) == expected
    for key, of_cells in scores.cells.items():
        assert_allclose(of_cells.mean(), values[key], rtol=1e-6)


def test_a_cell_of_unknown_type_has_no_label_score():
    data = run_data()
    data["labels"] = np.where(np.arange(60) < 7, "", data["labels"])
    of_cells = scored(data).cells["label_transfer_accuracy", "rna->adt", "-"]
    assert np.isnan(of_cells[:7]).all() and np.isfinite(of_cells[7:]).all()
    data["labels"][:] = ""
    assert not any(metric == "label_transfer_accuracy" for metric, *_ in scored(data).cells)


def test_only_the_given_groups_are_scored():
    cells = scored(run_data(), ["alignment", "biology"]).cells
    assert {metric for metric, *_ in cells} == {"foscttm", "foscttm_cosine"}


def test_cells_survive_the_disk_and_a_broken_file_is_refused(tmp_path):
    written = cells_of("mvae", {(0, "foscttm"): [0.1, np.nan, 0.3], (4, "foscttm"): [0.5]})
    write_cells(tmp_path / "cells.npz", written)
    read = read_cells(tmp_path / "cells.npz")
    assert (read.dataset, read.scenario, read.run) == ("d", "paired", "mvae")
    assert list(read.values) == list(written.values)
    for key, x in written.values.items():
        assert_array_equal(read.values[key], x)
    assert_array_equal(read.cells[0], ["c0-0", "c0-1", "c0-2"])
    write_cells(tmp_path / "none.npz", cells_of("mvae", {}))
    assert read_cells(tmp_path / "none.npz").values == {}
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cells.npz").read_bytes()[:200])
    for name in ("cut.npz", "absent.npz"):
        with pytest.raises(ContractError, match=name):
            read_cells(tmp_path / name)
