"""Virtual cells: drawn from a run's model, and held against real cells."""

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from mosaicbench_views import cut_small, small_dataset

from mosaicbench import files
from mosaicbench.errors import UserError
from mosaicbench.verbs import generate


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return the folder of a small view, and a function that makes a run of it without fitting."""
    folder = tmp_path_factory.mktemp("generate")
    cut_small(small_dataset(), "unpaired", folder / "view")

    def record(method, status="ok", **hyperparameters):
        known = {"dataset": "small", "scenario": "unpaired", "run": method, "method": method, "seed": 0}
        known = dict.fromkeys(files.RECORD_KEYS) | known | {"status": status, "hyperparameters": hyperparameters}
        files.write_record(folder / f"{method}-{status}" / "run.json", known)
        return {"fitted": folder / f"{method}-{status}", "view": folder / "view", "display": REPOSITORY / "config/display.yaml"}

    return record


def test_virtual_cells_are_written_compared_and_drawn(place, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "_layout", lambda x, seed: x[:, :2])  # UMAP takes long to start; test_report uses it
    given = place("dmmvae_experts", max_epochs=2)
    generate.run(**given, cells=40, seed=3, output=tmp_path)
    with files.quiet_mudata():
        import mudata

        virtual = mudata.read_h5mu(tmp_path / "generated.h5mu")
    solution = files.read_view(given["view"] / "solution.h5mu", "solution")
    assert virtual.uns[files.KEY]["noun"] == "generated"
    assert virtual.n_obs == 40
    for modality, cells in virtual.mod.items():
        assert list(cells.obs_names) == list(virtual.obs_names)
        assert list(cells.var_names) == files.feature_names(solution[modality])
        # log-normalised values, not standardised ones
        np.testing.assert_allclose(cells.X.mean(0), files.values(solution[modality]).mean(0), atol=1.0)
    cells = files.read_table(tmp_path / "cells.tsv")
    assert cells["origin"].value_counts().to_dict() == {"real": solution.n_obs, "generated": 40}
    assert set(cells["cell_type"]) <= set(solution["left"].obs["cell_type"])
    markers = files.read_table(tmp_path / "markers.tsv")
    own = markers[markers["marker_of"] == markers["cell_type"]]
    others = markers[markers["marker_of"] != markers["cell_type"]]
    assert own["real"].mean() > others["real"].mean() + 0.5
    realism = files.read_table(tmp_path / "realism.tsv").set_index("modality")["realism_auc"]
    assert realism.between(0.5, 1).all()
    assert (tmp_path / "virtual_cells.svg").is_file()
    pd.testing.assert_frame_equal(files.read_table(tmp_path / "virtual_cells.tsv"), markers)


@pytest.mark.parametrize(
    ("method", "status", "cells", "message"),
    [
        ("ridge", "ok", 40, "no prior to draw cells from"),
        ("mvae", "diverged", 40, "status 'diverged'"),
        ("mvae", "ok", 3, "at least 6"),
    ],
)
def test_what_has_no_model_is_refused(place, tmp_path, method, status, cells, message):
    with pytest.raises(UserError, match=message):
        generate.run(**place(method, status), cells=cells, seed=0, output=tmp_path)
