"""Scores of single cells: their mean is the score, and they survive the disk."""

import numpy as np
import pytest
from made_up_scores import cells_of

from mosaicbench.errors import ContractError
from mosaicbench.files.scores import read_cells, write_cells
from mosaicbench.metrics.alignment import foscttm, foscttm_cosine
from mosaicbench.metrics.imputation import imputation_pearson_per_cell
from mosaicbench.metrics.label_transfer import label_transfer_accuracy
from mosaicbench.scoring import scorer
from mosaicbench.scoring.run_data import RunData

OF_LATENTS = (
    "foscttm",
    "foscttm_cosine",
    "label_transfer_accuracy",
    "label_transfer_accuracy_cosine",
)


def supplied(n=60):
    random = np.random.default_rng(0)
    z = random.standard_normal((n, 3))
    labels = np.array([f"type {i % 3}" for i in range(n)], dtype=object)
    truth = {"rna": random.standard_normal((n, 8)), "adt": random.standard_normal((n, 5))}
    return {
        "groups": ["alignment", "label_transfer", "imputation"],
        "latents": {"joint": z, "rna": z, "adt": z + 0.4 * random.standard_normal((n, 3))},
        "train_latents": dict.fromkeys(("joint", "rna", "adt"), z + 0.1),
        "train_labels": dict.fromkeys(("joint", "rna", "adt"), labels),
        "imputed": {"rna->adt": truth["adt"] + random.standard_normal((n, 5))},
        "truth": truth,
        "feature_names": {
            name: [f"{name} {i}" for i in range(values.shape[1])] for name, values in truth.items()
        },
        "train_mean": {name: values.mean(axis=0) for name, values in truth.items()},
        "train_std": {name: values.std(axis=0) for name, values in truth.items()},
        "record": {"seconds": {"fit": 1}, "peak_host_mb": 1, "peak_device_mb": None},
        "batches": np.array(["batch"] * n, dtype=object),
        "spaces": {"rna": "lognorm", "adt": "clr"},
        "labels": labels,
    }


def scores_of_cells(*, groups, **known):
    return scorer.score(RunData(**known), groups).cells


def test_the_mean_over_cells_is_the_score():
    known = supplied()
    found = scores_of_cells(**known)
    assert set(found) == {
        *((name, d, "-") for name in OF_LATENTS for d in ("rna->adt", "adt->rna")),
        ("imputation_pearson_per_cell", "rna->adt", "clr"),
    }
    a, b = known["latents"]["rna"], known["latents"]["adt"]
    np.testing.assert_allclose(found["foscttm", "rna->adt", "-"].mean(), foscttm(a, b), rtol=1e-6)
    np.testing.assert_allclose(
        found["foscttm_cosine", "rna->adt", "-"].mean(), foscttm_cosine(a, b), rtol=1e-6
    )
    r = imputation_pearson_per_cell(known["truth"]["adt"], known["imputed"]["rna->adt"])
    np.testing.assert_allclose(
        found["imputation_pearson_per_cell", "rna->adt", "clr"].mean(), r, rtol=1e-6
    )
    from mosaicbench.metrics._nearest import transfer, transfer_each

    accuracy = label_transfer_accuracy(
        transfer(known["train_latents"]["adt"], known["labels"], a), known["labels"]
    )
    np.testing.assert_allclose(
        found["label_transfer_accuracy", "adt->rna", "-"].mean(), accuracy, rtol=1e-6
    )
    by_direction = transfer_each(
        known["train_latents"]["adt"], known["labels"], a, ks=[15], cosine=True
    )[15]
    accuracy = label_transfer_accuracy(by_direction, known["labels"])
    np.testing.assert_allclose(
        found["label_transfer_accuracy_cosine", "adt->rna", "-"].mean(), accuracy, rtol=1e-6
    )


def test_a_cell_of_unknown_type_has_no_label_score():
    known = supplied()
    known["labels"] = known["labels"].copy()
    known["labels"][:7] = ""
    found = scores_of_cells(**known)["label_transfer_accuracy", "rna->adt", "-"]
    assert np.isnan(found[:7]).all()
    assert np.isfinite(found[7:]).all()
    known["labels"][:] = ""
    assert not any(metric == "label_transfer_accuracy" for metric, *_ in scores_of_cells(**known))


def test_only_groups_that_were_asked_for_are_scored():
    found = scores_of_cells(**supplied() | {"groups": ["alignment", "biology"]})
    assert {metric for metric, *_ in found} == {"foscttm", "foscttm_cosine"}


def test_cells_survive_the_disk_and_a_broken_file_is_refused(tmp_path):
    written = cells_of("mvae", {(0, "foscttm"): [0.1, np.nan, 0.3], (4, "foscttm"): [0.5]})
    write_cells(tmp_path / "cells.npz", written)
    read = read_cells(tmp_path / "cells.npz")
    assert (read.dataset, read.scenario, read.run) == ("d", "paired", "mvae")
    assert list(read.values) == list(written.values)
    for key, x in written.values.items():
        np.testing.assert_array_equal(read.values[key], x)
    np.testing.assert_array_equal(read.cells[0], ["c0-0", "c0-1", "c0-2"])
    write_cells(tmp_path / "none.npz", cells_of("mvae", {}))
    assert read_cells(tmp_path / "none.npz").values == {}
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cells.npz").read_bytes()[:200])
    for name in ("cut.npz", "absent.npz"):
        with pytest.raises(ContractError, match=name):
            read_cells(tmp_path / name)
