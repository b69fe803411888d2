"""The inner view: the train cells of a view, divided once more, so that settings are chosen without any query cell.

It is made of ``train.h5mu`` alone, by the code that cut the view. So it knows no more than that file says: cells that the
scenario left with one modality have no partners here either, and types that it hides stay hidden. Features are those of the
view, which all train cells chose; idf, decomposition and moments are fitted again, on the inner train cells.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from mosaicbench.data.assemble import categorical, joined
from mosaicbench.data.scenarios import cut
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import ACTIVITY, LINKS
from mosaicbench.files.views import said_of_cells

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def inner_view(
    train: MuData, *, share: float, seed: int, by: str | None = None
) -> dict[str, MuData]:
    """Return train, query and solution of an inner view, which say of themselves the view's dataset, scenario and seed.

    Parameters
    ----------
    train
        The train cells of a view.
    share
        Of the cells that a query is drawn from, those that become the inner query; as ``query_fraction`` of a scenario.
    seed
        Draws the division, together with the view's own seed.
    by
        The column by which the scenario splits; one of its groups is left out. Where train cells are all of one group, or
        None, cells are drawn at random, stratified by type.

    Raises
    ------
    UserError
        When there is no such column, or too few cells are left.
    """
    own = train.uns[KEY]
    if by is not None and (
        lacking := [modality for modality, cells in train.mod.items() if by not in cells.obs]
    ):
        there = ", ".join(map(str, train[lacking[0]].obs.columns))
        raise UserError(
            f"--by: the train cells of {lacking[0]} have no column {by!r}; there are {there}"
        )
    dataset = _as_dataset(train, by)
    if by is not None and dataset.obs[by].nunique() < 2:
        print(
            f"all train cells have the same {by}, so the inner query is drawn at random",
            file=sys.stderr,
        )
        by = None
    drawn = int(np.random.SeedSequence([seed, own["seed"]]).generate_state(1)[0])
    parts = cut(
        dataset,
        dataset_name=str(own["dataset"]),
        scenario=str(own["scenario"]),
        kind="paired"
        if own["kind"] == "paired"
        else "natural",  # what was to be hidden is hidden already
        seed=drawn,
        query_fraction=share,
        split=None if by is None else {"by": by},
        preprocess=_all_features(train),
    )
    for part in parts.values():
        part.uns[KEY]["seed"] = own["seed"]
    parts["solution"].uns["audit"] = parts["solution"].uns["audit"].assign(seed=own["seed"])
    return parts


def _as_dataset(train: MuData, by: str | None) -> MuData:
    """Return train cells as a dataset: what was measured of the view's features, and what is known of the cells."""
    dataset = joined({modality: _measured(cells) for modality, cells in train.mod.items()})
    for column in dict.fromkeys(["cell_type", "batch", *([] if by is None else [by])]):
        said = dict(zip(train.obs_names, said_of_cells(train, column), strict=True))
        dataset.obs[column] = categorical([said[name] for name in dataset.obs_names])
    if LINKS in train.varp:
        dataset.varp[LINKS] = train.varp[LINKS]
    return dataset


def _measured(cells: AnnData) -> AnnData:
    """Return one modality of a dataset: its source values, and where they are counts each cell's total over all features."""
    from anndata import AnnData

    values = "counts" if "counts" in cells.layers else cells.uns["space"]
    measured = AnnData(
        obs=cells.obs[[column for column in ("total",) if column in cells.obs]].copy(),
        var=cells.var[[]].copy(),
        layers={values: cells.layers["counts"] if values == "counts" else cells.X},
        uns={"kind": cells.uns["kind"], "values": values},
    )
    if ACTIVITY in cells.obsm:
        measured.obsm[ACTIVITY] = cells.obsm[ACTIVITY]
    return measured


def _all_features(train: MuData) -> dict[str, dict]:
    """Return options of preprocessing that keep a view's transforms, its features that vary, and its number of components."""
    most = max(cells.n_vars for cells in train.mod.values())
    options = {"rna": {"features": most}}
    if components := [
        cells.obsm["X_lsi"].shape[1] for cells in train.mod.values() if "X_lsi" in cells.obsm
    ]:
        options["atac"] = {"features": max(most, 3), "components": max(components)}
    for cells in train.mod.values():
        options[cells.uns["kind"]] = dict(cells.uns.get("preprocess", {})) | options.get(
            cells.uns["kind"], {}
        )
    return options
