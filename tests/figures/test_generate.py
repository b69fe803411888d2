"""Virtual cells: drawn from a run's model, and held against real cells."""

import mudata
import numpy as np
import pandas as pd
import pytest
from mosaicbench_fits import fit_one
from mosaicbench_splits import cut_small, small_dataset

from mosaicbench.commands import _virtual
from mosaicbench.commands import layout as project
from mosaicbench.figures.virtual_cells import virtual_cells
from mosaicbench.files._h5 import KEY, quiet_mudata
from mosaicbench.files.runs import RECORD_KEYS, write_record
from mosaicbench.files.splits import feature_names, read_split, space_values
from mosaicbench.report import theme
from mosaicbench.report.projections import VIRTUAL, read_projection

RUNS = pd.DataFrame({"run": ["dmmvae_experts"], "method": ["dmmvae_experts"]})
WHERE = {"dataset": "small", "scenario": "unpaired"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return the folder of a small split, and a function that makes a run of it without fitting."""
    folder = tmp_path_factory.mktemp("generate")
    cut_small(small_dataset(), "unpaired", folder / "split")

    def record(method, status="ok"):
        known = WHERE | {"run": method, "method": method, "seed": 0, "status": status}
        write_record(folder / method / "run.json", dict.fromkeys(RECORD_KEYS) | known)
        return folder / method

    return folder / "split", record


def drawn_of(split, runs, output):
    project.main(splits=[[split]], seed=3, output=output, generate=runs)
    return {name: read_projection(output / "small/unpaired", name) for name in VIRTUAL}


def test_virtual_cells_are_written_compared_and_drawn(place, tmp_path):
    split, record = place
    fitted, few = tmp_path / "dmmvae_experts", {"max_epochs": 2}
    fit_one(split, fitted, fitted.name, hyperparameters=few, names=WHERE | {"keep": True})
    tables = drawn_of(split, [fitted, record("mvae", "diverged")], tmp_path)
    (written,) = (tmp_path / "small/unpaired/virtual").iterdir()
    assert written.name == "dmmvae_experts.h5mu"
    with quiet_mudata():
        virtual = mudata.read_h5mu(written)
    solution = read_split(split / "solution.h5mu", "solution")
    assert virtual.uns[KEY]["noun"] == "generated"
    for modality, cells in virtual.mod.items():
        assert list(cells.obs_names) == list(virtual.obs_names)
        assert list(cells.var_names) == feature_names(solution[modality])
        # log-normalised values, not standardised ones
        expected = space_values(solution[modality]).mean(0)
        np.testing.assert_allclose(cells.X.mean(0), expected, atol=1.0)
    cells, markers = tables["virtual_cells"], tables["virtual_markers"]
    origins = {"real": solution.n_obs, "generated": virtual.n_obs}
    assert cells["origin"].value_counts().to_dict() == origins
    assert set(cells["run"]) == {"dmmvae_experts"} and virtual.n_obs == _virtual.CELLS
    assert set(cells["cell_type"]) <= set(solution["left"].obs["cell_type"])
    is_own = markers["marker_of"] == markers["cell_type"]
    assert markers["real"][is_own].mean() > markers["real"][~is_own].mean() + 0.5
    assert tables["virtual_realism"]["realism_auc"].between(0.5, 1).all()
    figure, drawn = virtual_cells(**tables, theme=theme.read_theme(RUNS))
    assert len(figure.axes) == 3
    assert "AUC" in figure.axes[0].get_title()
    pd.testing.assert_frame_equal(drawn, markers)


def test_virtual_cells_are_held_against_real_ones_of_any_place_in_the_file():
    random = np.random.default_rng(0)
    batches = np.repeat([0, 1], 200)[:, None]  # the file is sorted by them
    real = random.standard_normal((400, 10)) + 2 * batches
    virtual = random.standard_normal((200, 10)) + 2 * random.permutation(batches)[:200]
    assert _virtual._realism(real, virtual, 0) < 0.6


def test_a_split_without_a_model_has_empty_tables_and_a_picture_that_says_so(place, tmp_path):
    split, record = place
    tables = drawn_of(split, [record("mvae", "diverged")], tmp_path)
    assert all(table.empty for table in tables.values())
    figure, _ = virtual_cells(**tables, theme=theme.read_theme(RUNS))
    assert "No run" in figure.axes[0].texts[0].get_text()
