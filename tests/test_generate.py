"""Virtual cells: drawn from a run's model, and held against real cells."""

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from mosaicbench_fits import fit_one
from mosaicbench_views import cut_small, small_dataset

from mosaicbench.commands import generate
from mosaicbench.errors import UserError
from mosaicbench.figures.virtual_cells import virtual_cells
from mosaicbench.files._h5 import KEY, quiet_mudata
from mosaicbench.files.runs import RECORD_KEYS, write_record
from mosaicbench.files.views import feature_names, read_view, space_values
from mosaicbench.report import theme
from mosaicbench.report.projections import VIRTUAL_COLUMNS, read_projection

RUNS = pd.DataFrame({"run": ["dmmvae_experts"], "method": ["dmmvae_experts"]})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return the folder of a small view, and a function that makes a run of it without fitting."""
    folder = tmp_path_factory.mktemp("generate")
    cut_small(small_dataset(), "unpaired", folder / "view")

    def record(method, status="ok", **hyperparameters):
        known = {
            "dataset": "small",
            "scenario": "unpaired",
            "run": method,
            "method": method,
            "seed": 0,
        }
        known = (
            dict.fromkeys(RECORD_KEYS)
            | known
            | {"status": status, "hyperparameters": hyperparameters}
        )
        write_record(folder / f"{method}-{status}" / "run.json", known)
        return folder / f"{method}-{status}"

    return folder / "view", record


def test_virtual_cells_are_written_compared_and_drawn(place, tmp_path):
    view, record = place
    names = {"dataset": "small", "scenario": "unpaired", "keep": True}
    run = tmp_path / "run"
    fit_one(view, run, "dmmvae_experts", hyperparameters={"max_epochs": 2}, names=names)
    runs = [run, record("mvae", "diverged")]
    generate.main(runs=runs, view=view, cells=40, seed=3, output=tmp_path)
    assert not (tmp_path / "mvae.h5mu").exists()
    with quiet_mudata():
        import mudata

        virtual = mudata.read_h5mu(tmp_path / "dmmvae_experts.h5mu")
    solution = read_view(view / "solution.h5mu", "solution")
    assert virtual.uns[KEY]["noun"] == "generated"
    assert virtual.n_obs == 40
    for modality, cells in virtual.mod.items():
        assert list(cells.obs_names) == list(virtual.obs_names)
        assert list(cells.var_names) == feature_names(solution[modality])
        # log-normalised values, not standardised ones
        np.testing.assert_allclose(
            cells.X.mean(0), space_values(solution[modality]).mean(0), atol=1.0
        )
    tables = {name: read_projection(tmp_path, name) for name in VIRTUAL_COLUMNS}
    cells, markers = tables["virtual_cells"], tables["virtual_markers"]
    assert cells["origin"].value_counts().to_dict() == {"real": solution.n_obs, "generated": 40}
    assert set(cells["run"]) == {"dmmvae_experts"}
    assert set(cells["cell_type"]) <= set(solution["left"].obs["cell_type"])
    own = markers[markers["marker_of"] == markers["cell_type"]]
    others = markers[markers["marker_of"] != markers["cell_type"]]
    assert own["real"].mean() > others["real"].mean() + 0.5
    assert tables["virtual_realism"]["realism_auc"].between(0.5, 1).all()
    figure, drawn = virtual_cells(
        **tables, theme=theme.read_theme(REPOSITORY / "config/display.yaml", RUNS)
    )
    assert len(figure.axes) == 3
    assert "AUC" in figure.axes[0].get_title()
    pd.testing.assert_frame_equal(drawn, markers)


def test_virtual_cells_are_held_against_real_ones_of_any_place_in_the_file():
    random = np.random.default_rng(0)
    real = (
        random.standard_normal((400, 10)) + 2 * np.repeat([0, 1], 200)[:, None]
    )  # sorted by batch
    virtual = random.standard_normal((200, 10)) + 2 * random.integers(0, 2, 200)[:, None]
    assert generate._realism(real, virtual, 0) < 0.6
    assert generate._realism(real, virtual, 0) == generate._realism(real, virtual, 0)


def test_a_view_without_a_model_has_empty_tables_and_a_picture_that_says_so(place, tmp_path):
    view, record = place
    generate.main(
        runs=[record("mvae", "diverged")],
        view=view,
        cells=40,
        seed=0,
        output=tmp_path,
        tables=tmp_path / "tables",
    )
    tables = {name: read_projection(tmp_path / "tables", name) for name in VIRTUAL_COLUMNS}
    assert all(table.empty for table in tables.values())
    figure, _ = virtual_cells(
        **tables, theme=theme.read_theme(REPOSITORY / "config/display.yaml", RUNS)
    )
    assert "No run" in figure.axes[0].texts[0].get_text()


@pytest.mark.parametrize(
    ("method", "cells", "message"),
    [
        ("ridge", 40, "no prior to draw cells from"),
        ("mvae", 3, "at least 6"),
        ("mvae", 40, "no model was kept"),
        ("elsewhere", 40, "elsewhere-ok: 'elsewhere' was computed elsewhere"),
    ],
)
def test_what_has_no_prior_or_too_few_cells_is_refused(place, tmp_path, method, cells, message):
    view, record = place
    with pytest.raises(UserError, match=message):
        generate.main(runs=[record(method)], view=view, cells=cells, seed=0, output=tmp_path)
