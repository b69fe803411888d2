"""What a run writes: what a method cannot do is left out, private latents stand beside shared ones, what is hidden stays so."""

from dataclasses import dataclass

import numpy as np
import pytest
from mosaicbench_fits import (
    assert_same_outputs,
    fit_here,
    fit_one,
    poisoned,
    registered,
    run_of,
    score_one,
)
from mosaicbench_splits import cut_small, linked, small_dataset
from test_methods import TRAINED

from mosaicbench.catalog import catalog
from mosaicbench.errors import NotApplicable
from mosaicbench.files.runs import latents_of, private_of, read_imputed, read_latents
from mosaicbench.files.splits import as_cells, read_split, standardised_values
from mosaicbench.metrics.disentanglement import label_separation_auc


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
    sources, directions = (["left"], ["left->right"]) if reads == "left" else ([], [])
    method = registered(monkeypatch, OneWay, ("joint", "single", "impute"))
    record = fit_one(paired, tmp_path, method, hyperparameters={"reads": reads})
    for lacking in ("latents of right", "latents of joint", "right->left"):
        assert f"no {lacking}: nothing reads it" in record["message"]
    assert record["status"] == ("ok" if sources else "not_applicable")
    assert set(read_latents(tmp_path / "latents.h5ad").obs["source"]) == set(sources)
    assert list(read_imputed(tmp_path / "imputed.h5mu").mod) == directions
    scores = score_one(paired, tmp_path, ["alignment", "imputation", "resources"])
    assert set(scores["direction"]) == {"run", *directions}


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


PRIVATE_SCORE = "label_separation_auc_private"


@pytest.mark.parametrize("private", [3, 0])
def test_private_latents_lie_beside_the_shared_ones_of_their_cells(
    paired, tmp_path, monkeypatch, private
):
    method = registered(monkeypatch, WithPrivate, ("joint", "single", "private"))
    record = fit_one(paired, tmp_path, method, hyperparameters={"private": private})
    assert record["status"] == "ok", record["message"]
    latents = read_latents(tmp_path / "latents.h5ad")
    assert private_of(latents, "joint", "query") is None
    scores = score_one(paired, tmp_path, ["disentanglement"]).set_index(["metric", "direction"])
    if private == 0:
        assert private_of(latents, "left", "query") is None
        assert PRIVATE_SCORE not in scores.index
        return
    for part in ("train", "query"):
        split = read_split(paired / f"{part}.h5mu", part)
        for modality in split.mod:
            names, _ = latents_of(latents, modality, part)
            expected = as_cells(split, [modality], names).values[modality][:, 2:5]
            np.testing.assert_array_equal(private_of(latents, modality, part), expected)

    # The scorer is supplied with each modality's block in the solution's order, and with all side by side for the joint source.
    solution = read_split(paired / "solution.h5mu", "solution")
    blocks = {m: standardised_values(cells)[:, 2:5] for m, cells in solution.mod.items()}
    blocks["joint"] = np.concatenate(list(blocks.values()), axis=1)
    labels = np.asarray(solution["left"].obs["cell_type"], dtype=object)
    expected = {source: label_separation_auc(block, labels) for source, block in blocks.items()}
    found = scores.loc[PRIVATE_SCORE, "value"].to_dict()
    assert found == pytest.approx(expected, abs=1e-5)


POISONED = sorted(set(TRAINED) - {"probe"})  # it needs RNA


@pytest.fixture(scope="module")
def hidden(dataset, tmp_path_factory):
    """Return the folder of fits of all methods, in one job, to splits of linked features, one of them poisoned."""
    folder = tmp_path_factory.mktemp("hidden")
    split = cut_small(linked(dataset, folder / "links.tsv"), "paired", folder / "clean")
    runs = []
    for method in POISONED:
        known = catalog.hyperparameters(method)
        small = dict.fromkeys({"max_epochs", "epochs", "iterations"} & known.keys(), 2)
        outputs = [folder / method / name for name in ("clean", "dirty")]
        runs.append(run_of(method, outputs, hyperparameters=small))
    fit_here(runs, [split, poisoned(split, folder / "dirty")])
    return folder


@pytest.mark.parametrize("method", POISONED)
def test_poisoned_solution_changes_nothing(hidden, method):
    """All that a scenario hides is overwritten; only the positive controls may notice."""
    assert_same_outputs(*(hidden / method / name for name in ("clean", "dirty")))
