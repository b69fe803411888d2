"""What a run writes: what a method cannot do is left out, private latents stand beside shared ones, what is hidden stays so."""

from dataclasses import dataclass

import numpy as np
import pytest
from mosaicbench_fits import (
    LIMITS,
    NAMES,
    assert_same_outputs,
    fit_one,
    poisoned,
    registered,
    run_of,
    score_one,
    seeds_of,
)
from mosaicbench_splits import cut_small, linked, small_dataset

from mosaicbench.catalog import catalog
from mosaicbench.commands import fit
from mosaicbench.errors import NotApplicable
from mosaicbench.files.runs import latents_of, private_of, read_imputed, read_latents
from mosaicbench.files.splits import as_cells, read_split, standardised_values
from mosaicbench.metrics.disentanglement import label_separation_auc

OWN = [
    name for name in catalog.names("methods") if ".peers." not in catalog.module("methods", name)
]


@pytest.fixture(scope="module")
def dataset():
    return small_dataset()


@pytest.fixture(scope="module")
def paired(dataset, tmp_path_factory):
    return cut_small(dataset, "paired", tmp_path_factory.mktemp("split"))


@dataclass(kw_only=True)
class OneWay:
    """A method that reads the first modality only, and so decodes in one direction."""

    reads: str = "left"

    def fit(self, train, seed):
        return []

    def embed(self, cells):
        if cells.modalities != (self.reads,):
            raise NotApplicable("nothing reads it")
        return cells.values[self.reads][:, :2]

    def impute(self, cells, target):
        z = self.embed(cells)
        return np.repeat(z[:, :1], self.width[target], axis=1)


@pytest.mark.parametrize("reads", ["left", "neither"])
def test_what_a_method_cannot_do_is_left_out_and_said(paired, tmp_path, monkeypatch, reads):
    query = read_split(paired / "query.h5mu", "query")
    OneWay.width = {m: cells.n_vars for m, cells in query.mod.items()}
    method = registered(monkeypatch, OneWay, ("joint", "single", "impute"))
    record = fit_one(paired, tmp_path, method, hyperparameters={"reads": reads})
    latents = read_latents(tmp_path / "latents.h5ad")
    imputed = read_imputed(tmp_path / "imputed.h5mu")
    assert "no latents of right: nothing reads it" in record["message"]
    assert "no latents of joint: nothing reads it" in record["message"]
    assert "no right->left: nothing reads it" in record["message"]
    assert record["status"] == ("ok" if reads == "left" else "not_applicable")
    assert set(latents.obs["source"]) == ({"left"} if reads == "left" else set())
    assert list(imputed.mod) == (["left->right"] if reads == "left" else [])
    scores = score_one(paired, tmp_path, ["alignment", "imputation", "resources"])
    assert set(scores["direction"]) == ({"run", "left->right"} if reads == "left" else {"run"})


@dataclass(kw_only=True)
class WithPrivate:
    """A method whose shared and private latents are columns of what it is shown."""

    private: int = 3

    def fit(self, train, seed):
        return []

    def embed(self, cells):
        return sum(x[:, :2] for x in cells.values.values())

    def embed_private(self, cells):
        (x,) = cells.values.values()
        assert cells.labels is None
        return x[:, 2 : 2 + self.private]


@pytest.mark.parametrize("private", [3, 0])
def test_private_latents_lie_beside_the_shared_ones_of_their_cells(
    paired, tmp_path, monkeypatch, private
):
    method = registered(monkeypatch, WithPrivate, ("joint", "single", "private"))
    record = fit_one(paired, tmp_path, method, hyperparameters={"private": private})
    assert record["status"] == "ok", record["message"]
    latents = read_latents(tmp_path / "latents.h5ad")
    assert private_of(latents, "joint", "query") is None
    for part in ("train", "query"):
        split = read_split(paired / f"{part}.h5mu", part)
        for modality in split.mod:
            names, _ = latents_of(latents, modality, part)
            found = private_of(latents, modality, part)
            if private == 0:
                assert found is None
                continue
            np.testing.assert_array_equal(
                found, as_cells(split, [modality], names).values[modality][:, 2:5]
            )

    # The scorer is supplied with each modality's block in the solution's order, and with all side by side for the joint source.
    scores = score_one(paired, tmp_path, ["disentanglement"])
    scores = scores.set_index(["metric", "direction"])["value"]
    asked = {
        direction for metric, direction in scores.index if metric == "label_separation_auc_private"
    }
    assert asked == ({"left", "right", "joint"} if private else set())
    if private:
        solution = read_split(paired / "solution.h5mu", "solution")
        blocks = {m: standardised_values(cells)[:, 2:5] for m, cells in solution.mod.items()}
        blocks["joint"] = np.concatenate(list(blocks.values()), axis=1)
        labels = np.asarray(solution["left"].obs["cell_type"], dtype=object)
        for source, block in blocks.items():
            expected = label_separation_auc(block, labels)
            assert scores["label_separation_auc_private", source] == pytest.approx(
                expected, abs=1e-5
            )


POISONED = [
    name
    for name in OWN
    if catalog.card("methods", name)["kind"] != "control" and name != "probe"  # it needs RNA
]


@pytest.fixture(scope="module")
def hidden(dataset, tmp_path_factory):
    """Return the folder of fits of all methods, in one job, to splits of linked features, one of them poisoned."""
    folder = tmp_path_factory.mktemp("hidden")
    split = cut_small(linked(dataset, folder / "links.tsv"), "paired", folder / "clean")
    runs = []
    for method in POISONED:
        known = catalog.hyperparameters(method)
        small = {name: 2 for name in ("max_epochs", "epochs", "iterations") if name in known}
        outputs = [folder / method / name for name in ("clean", "dirty")]
        runs.append(run_of(method, outputs, hyperparameters=small))
    splits = [split, poisoned(split, folder / "dirty")]
    fit.main(runs=runs, seeds=seeds_of(splits, [0, 0]), limits=LIMITS)
    return folder


@pytest.mark.parametrize("method", POISONED)
def test_poisoned_solution_changes_nothing(hidden, method):
    """All that a scenario hides is overwritten; only the positive controls may notice."""
    assert_same_outputs(*(hidden / method / name for name in ("clean", "dirty")))


def test_sources_of_a_paired_and_an_unpaired_query(dataset, tmp_path):
    for kind, expected in (("paired", {"left", "right", "joint"}), ("unpaired", {"left", "right"})):
        split = cut_small(dataset, kind, tmp_path / kind)
        fit_one(split, tmp_path / f"run-{kind}", "random_latent", names=NAMES | {"scenario": kind})
        latents = read_latents(tmp_path / f"run-{kind}/latents.h5ad")
        assert set(latents.obs["source"]) == expected
