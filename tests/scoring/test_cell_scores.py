"""Scores of single cells: their mean is the score, and they survive the disk."""

import numpy as np
import pytest
from made_up_scores import cells_of
from numpy.testing import assert_allclose, assert_array_equal
from test_scorer import oracle

from mosaicbench.errors import ContractError
from mosaicbench.files.scores import read_cells, write_cells
from mosaicbench.scoring import scorer
from mosaicbench.scoring.run_data import RunData

GROUPS = ("alignment", "label_transfer", "imputation")
OF_LATENTS = ("foscttm", "label_transfer_accuracy")


def run_data():
    """Return data of a method that knows everything but for noise."""
    data, random = oracle(), np.random.default_rng(0)
    z = data["latents"]["adt"]
    data["latents"] = data["latents"] | {"adt": z + 0.4 * random.standard_normal(z.shape)}
    for direction, x in data["imputed"].items():
        data["imputed"][direction] = x + random.standard_normal(x.shape)
    return data


def scored(data, groups=GROUPS):
    return scorer.score(RunData(**data), groups)


def test_the_mean_over_cells_is_the_score():
    scores = scored(run_data())
    values = scores.scores.set_index(["metric", "direction", "normalization"])["value"]
    per_cell = "imputation_pearson_per_cell"
    expected = {(per_cell, "rna->adt", "clr"), (per_cell, "adt->rna", "lognorm")}
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
