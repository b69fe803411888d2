"""Split a dataset: train and query cells for methods, the solution for the scorer only.

A split is made in four steps: divide the cells into train and query; design which train cells show
which modalities and their type; transform each modality, fitted on train cells; assemble the three
parts, with links and audit.

===========  ====================================  =============================================
kind         train cells                           query
===========  ====================================  =============================================
paired       all modalities in every cell          jointly named: which rows are one cell is known
unpaired     one modality in each cell             each modality has its own names and order
mosaic       a fraction has all, the rest one      jointly named: methods infer from one modality
             each; or blocks of modalities         at a time, and from all of them
as_measured  as the dataset has them: nothing is   jointly named, as far as modalities have cells
             hidden                                in common
===========  ====================================  =============================================

Where cells lack modalities, a random query is drawn from the cells with at least two, so that there
are true partners to score by, and from all cells of a modality that shares none; `paired` takes only
cells with all modalities. A `split` by a column takes whole groups, whatever their cells have. If
every cell has all modalities, the query of a seed and split is the same for every kind of scenario.

Validation cells are not chosen here: training draws them from the train cells, so no score ever
sees them. Features and moments are fitted on all train cells.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data import links
from mosaicbench.data.assemble import (
    categorical,
    joined,
    rewrapped,
    source_values,
)
from mosaicbench.data.audit import AUDIT_COLUMNS, audit_table, variation
from mosaicbench.data.normalize import ALL, Learned, Preprocessing
from mosaicbench.data.pairing import (
    Measured,
    check_cells,
    designed,
    few_labels,
    in_several,
    patterns,
    stratified,
    with_partners,
)
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import ACTIVITY, LINKS, links_between, measured_in
from mosaicbench.files.splits import said_of_cells

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

# What a simulated dataset knows, for the solution only: keys of obsm, and of var, the features
# that shared factors drive.
SHARED, PRIVATE, DRIVEN = "shared_factors", "private_factors", "shared_driven"
# Beside the seed, what draws wrong links, and the cells that show their type: no other draw
# depends on them.
CORRUPTION = SHOWN = 1
NOUNS = ("train", "query", "solution")


def make_split(
    dataset: MuData,
    *,
    dataset_name: str,
    scenario: str,
    kind: str,
    seed: int,
    split: dict | None = None,
    preprocess: dict[str, dict] | None = None,
    corrupted_links: float = 0.0,
    **division_options: object,
) -> dict[str, MuData]:
    """Divide a dataset's cells into train and query, and hide what the kind of scenario hides.

    Parameters
    ----------
    dataset
        A dataset as ``files.read_dataset`` returns it.
    dataset_name, scenario
        Names to write into the parts.
    kind
        One of ``pairing.KINDS``.
    seed
        Draws the division, the order of the rows, and with it their names.
    preprocess
        kind of modality -> options of its transform that differ from the defaults.
    corrupted_links
        Fraction of the links among the chosen features that ``links.corrupted`` replaces by wrong ones,
        drawn by the seed. Gene activities follow; cells and features are those of the true links.
    split, **division_options
        Further options of :func:`divided`.

    Returns
    -------
    dict of MuData
        "train", "query" and "solution". Each has links between features in ``varp`` and gene activities
        in the ATAC modality's ``obsm``; the solution has ``audit.audit_table`` in ``uns["audit"]``. The
        train cells name in ``uns`` the modalities without common query cells, ``without_partners``;
        those of an `as_measured` scenario also the kind that they amount to, ``pairing``.

    Raises
    ------
    UserError
        When no cell has all modalities that the kind needs, or too few cells are left.
    RuntimeError
        When anything was learned from a cell that is no train cell.
    """
    preprocess = preprocess or {}
    rng = np.random.default_rng(seed)
    dataset, division, measured, types = divided(
        dataset,
        rng,
        dataset_name=dataset_name,
        scenario=scenario,
        kind=kind,
        seed=seed,
        split=split,
        **division_options,
    )
    by = None if split is None else split["by"]
    order = rng.permutation(len(division.query))
    transformed = {
        modality: _transform(
            dataset, modality, division, measured, types, preprocess, by, order, rng
        )
        for modality in dataset.mod
    }
    if corrupted_links:
        chosen = {m: list(each.parts["train"].var_names) for m, each in transformed.items()}
        wrong = np.random.default_rng([seed, CORRUPTION])
        dataset = links.corrupted(dataset, corrupted_links, chosen, wrong)
    identity = {"dataset": dataset_name, "scenario": scenario, "kind": kind, "seed": seed}
    parts = _assemble(dataset, division, transformed, identity)
    audit = audit_table(
        dataset.obs[division.used],
        division.in_query[division.used],
        _audited(dataset, division, measured, transformed),
        stratified=split is None,
    ).assign(dataset=dataset_name, scenario=scenario, seed=seed)
    parts["solution"].uns["audit"] = audit[AUDIT_COLUMNS]
    return parts


# --- divide: which cells are train and query -----------------------------------------------------


@dataclass(frozen=True)
class Division:
    """Which cells of a dataset are train and query.

    Attributes
    ----------
    has
        modality -> (cells,) mask of those that were measured in it.
    used, in_query
        (cells,) masks of the cells that take part, and of the query.
    train, query
        Positions of train cells, in random order, and of query cells, ascending.
    too_few
        Positions of cells that stay with the train cells, because no train cell has their type.
    """

    has: dict[str, np.ndarray]
    used: np.ndarray
    in_query: np.ndarray
    train: np.ndarray
    query: np.ndarray
    too_few: np.ndarray

    def has_of(self, cells: np.ndarray) -> dict[str, np.ndarray]:
        """Return `has` of these cells alone."""
        return {modality: mask[cells] for modality, mask in self.has.items()}


def divided(
    dataset: MuData,
    rng: np.random.Generator,
    *,
    dataset_name: str,
    scenario: str,
    kind: str,
    seed: int,
    query_fraction: float = 0.2,
    split: dict | None = None,
    label_subset: dict | None = None,
    **hiding: object,
) -> tuple[MuData, Division, Measured, np.ndarray]:
    """Return the dataset, its train and query cells, what train cells show, and the types they show.

    Nothing is fitted; the dataset also has the column by which it is split.

    Parameters
    ----------
    dataset, dataset_name, scenario, kind, seed
        As of :func:`make_split`.
    rng
        Is drawn from.
    query_fraction
        Fraction of the cells that become the query, stratified by cell type (unlabelled cells are a
        class); not used if `split` is given.
    split
        ``{"by": column of obs, "held_out": [names]}``: the query is those batches, donors or wells.
        Without ``held_out`` it is the seed-th in order of name, counted round. `by` may also be the
        column that the dataset's own files call the batch. Cells without a group are train cells.
    label_subset
        Options of :func:`few_labels`: which train cells show their type; by default all.
    **hiding
        Options of the kind of scenario.

    Raises
    ------
    UserError
        When no cell has all modalities that the kind needs, or too few cells are left.
    """
    check_cells(kind, scenario, dataset_name, measured_in(dataset))
    dataset = _with_column_of_batch(dataset, split)
    division = _divide(dataset, kind, seed, query_fraction, split, rng)
    return dataset, division, *_design(dataset, division, kind, seed, label_subset, hiding, rng)


def _divide(
    dataset: MuData,
    kind: str,
    seed: int,
    query_fraction: float,
    split: dict | None,
    rng: np.random.Generator,
) -> Division:
    has = measured_in(dataset)
    used = np.ones(dataset.n_obs, dtype=bool)
    if kind == "paired":
        used = np.all(list(has.values()), axis=0)
    too_few = np.zeros(dataset.n_obs, dtype=bool)
    if split is None:
        labels = np.asarray(dataset.obs["cell_type"], dtype=object)
        having = {modality: mask & used for modality, mask in has.items()}
        in_query = _random_query(labels, having, query_fraction, rng)
        too_few = in_query & ~np.isin(labels, [*set(labels[used & ~in_query]), ""])
        in_query &= ~too_few
    else:
        in_query = used & _groups_held_out(dataset.obs, seed, **split)
    train = rng.permutation(np.flatnonzero(used & ~in_query))
    return Division(has, used, in_query, train, *map(np.flatnonzero, (in_query, too_few)))


def _random_query(
    labels: np.ndarray, has: dict[str, np.ndarray], query_fraction: float, rng: np.random.Generator
) -> np.ndarray:
    possible = np.flatnonzero(with_partners(has))
    classes = labels[possible].astype(str).astype(object)
    if len(several := patterns({m: mask[possible] for m, mask in has.items()})) > 1:
        for number, (_, rows) in enumerate(several):
            classes[rows] = f"{number} " + classes[rows]
    in_query = np.zeros(len(labels), dtype=bool)
    in_query[possible] = stratified(classes, query_fraction, rng)
    return in_query


def _with_column_of_batch(dataset: MuData, split: dict | None) -> MuData:
    column = json.loads(dataset.uns.get(KEY, {}).get("options", "{}")).get("batch")
    if split is None or column in dataset.obs or column != split.get("by"):
        return dataset
    dataset = rewrapped(dataset)
    dataset.obs[column] = dataset.obs["batch"]
    return dataset


def _groups_held_out(
    obs: pd.DataFrame, seed: int, *, by: str, held_out: Sequence[str] | None = None
) -> np.ndarray:
    if by not in obs:
        columns = ", ".join(map(str, obs.columns))
        raise UserError(
            f"split.by: the dataset has no column {by!r}; there are {columns}; of own files, "
            "name further columns in groups of the dataset's stanza"
        )
    groups = obs[by].astype(str).to_numpy(dtype=object)
    names = sorted(set(groups) - {""})
    if len(names) < 2:
        raise UserError(
            f"split.by: all cells have the same {by}, {', '.join(map(repr, names))}; nothing can be "
            "held out, split at random instead"
        )
    chosen = [names[seed % len(names)]] if held_out is None else [str(name) for name in held_out]
    if unknown := sorted(set(chosen) - set(names)):
        raise UserError(
            f"split.held_out: no cell has {by} {unknown[0]!r}; there are {', '.join(names)}"
        )
    if not chosen or set(chosen) == set(names):
        raise UserError(
            f"split.held_out: {len(chosen)} of {len(names)} are held out; some must stay on either "
            "side"
        )
    return np.isin(groups, chosen)


# --- design: which train cells show what ---------------------------------------------------------


def _design(
    dataset: MuData,
    division: Division,
    kind: str,
    seed: int,
    label_subset: dict | None,
    hiding: dict,
    rng: np.random.Generator,
) -> tuple[Measured, np.ndarray]:
    types = np.asarray(dataset.obs["cell_type"], dtype=object)
    train = division.train
    measured = designed(kind, types[train], division.has_of(train), rng, hiding)
    _check_sizes(measured, division.has_of(division.query))
    if label_subset is None:
        return measured, types
    batches = np.asarray(dataset.obs["batch"], dtype=object)[train]
    draw = np.random.default_rng([seed, SHOWN])
    shown = train[few_labels(types[train], batches, draw, **label_subset)]
    few = np.full(len(types), "", dtype=object)
    few[shown] = types[shown]
    return measured, few


def _check_sizes(measured: Measured, in_query: dict[str, np.ndarray]) -> None:
    fewest = min(len(rows) for rows in measured.train.values())
    query_cells = min(int(mask.sum()) for mask in in_query.values())
    if query_cells < 1 or fewest < 2:
        raise UserError(
            f"query_fraction: leaves {query_cells} query cells and, in one modality, {fewest} train "
            "cells; a scenario needs at least 1 and 2: give more cells or another query_fraction"
        )


# --- transform: one modality's values ------------------------------------------------------------


@dataclass(frozen=True)
class Transformed:
    """One modality of a split.

    Attributes
    ----------
    parts
        noun -> its cells, normalized.
    places
        noun -> positions of its rows among the dataset's rows of the modality.
    log
        What was learned from which train cells.
    variation
        How much query values vary beside train values, for the audit.
    """

    parts: dict[str, AnnData]
    places: dict[str, np.ndarray]
    log: list[Learned]
    variation: Learned


def _transform(
    dataset: MuData,
    modality: str,
    division: Division,
    measured: Measured,
    types: np.ndarray,
    preprocess: dict[str, dict],
    by: str | None,
    order: np.ndarray,
    rng: np.random.Generator,
) -> Transformed:
    """Fit a modality's transform on its train cells; `order` is a random order of all query cells."""
    cells = dataset[modality]
    row_of = cells.obs_names.get_indexer(dataset.obs_names)  # (cells,), -1 where absent
    options = preprocess.get(cells.uns["kind"], {})
    train = division.train[measured.train[modality]]
    observed = fit_to = _rows(dataset, modality, row_of[train])
    if options.get("fit_on") == ALL:
        everywhere = np.flatnonzero(division.used & division.has[modality])
        fit_to = _rows(dataset, modality, row_of[everywhere])
    fitted, visible = Preprocessing.fit_transform(observed, fit_to, **options)
    visible.obs_names = pd.Index([f"train-{number:06d}" for number in measured.train[modality]])
    if by is not None:  # so that train cells can be split in the same way once more
        visible.obs[by] = categorical(dataset.obs[by].iloc[train])
    visible.obs["cell_type"] = categorical(types[train])
    visible.obs["batch"] = categorical(dataset.obs["batch"].iloc[train])
    labelled = observed.obs_names[types[train] != ""]

    within = np.flatnonzero(division.has[modality][division.query])
    held = division.query[within]
    solution = fitted.transform(_rows(dataset, modality, row_of[held]))
    if measured.joint:  # names say which rows are one cell
        numbers = np.argsort(order)[within]
        rows, prefix = np.argsort(numbers), "query"
        numbers = np.sort(numbers)
    else:
        rows, prefix = rng.permutation(len(held)), f"{modality}-query"
        numbers = np.arange(len(held))
    varied = variation(visible, solution)
    query = solution[rows].copy()
    query.obs_names = pd.Index([f"{prefix}-{number:06d}" for number in numbers])
    query.obs["batch"] = categorical(dataset.obs["batch"].iloc[held[rows]])

    solution.obs["query_name"] = np.asarray(query.obs_names[np.argsort(rows)], dtype=object)
    if PRIVATE in cells.obsm:
        solution.obsm[PRIVATE] = np.asarray(cells.obsm[PRIVATE])[row_of[held]]
    if DRIVEN in cells.var:
        solution.var[DRIVEN] = cells.var.loc[solution.var_names, DRIVEN].to_numpy(dtype=bool)
    for column in ("cell_type", "batch"):
        solution.obs[column] = categorical(dataset.obs[column].iloc[held])
    return Transformed(
        parts={"train": visible, "query": query, "solution": solution},
        places={"train": row_of[train], "query": row_of[held[rows]], "solution": row_of[held]},
        log=[*fitted.log, Learned("cell types shown", labelled, "label")],
        variation=Learned(varied, dataset.obs_names[held], "scale"),
    )


def _rows(dataset: MuData, modality: str, rows: np.ndarray) -> AnnData:
    """Return cells with their values alone, as a copy.

    ``var["kept"]`` marks the features that encode a measured protein, which carry the links.
    """
    from anndata import AnnData

    cells = dataset[modality]
    layer = cells.uns["values"]
    encodes = np.zeros(cells.n_vars, dtype=bool)
    for other in dataset.mod:
        if other != modality and dataset[other].uns["kind"] == "adt":
            encodes |= links_between(dataset, modality, other).getnnz(axis=1) > 0
    return AnnData(
        obs=cells.obs.filter(items=["total"]).iloc[rows],
        var=pd.DataFrame({"kept": encodes}, index=cells.var_names),
        layers={layer: source_values(cells)[rows]},
        uns={"kind": cells.uns["kind"], "values": layer},
    )


# --- assemble: the three parts, and what the audit says of them ----------------------------------


def _assemble(
    dataset: MuData, division: Division, transformed: dict[str, Transformed], identity: dict
) -> dict[str, MuData]:
    parts = {}
    for noun in NOUNS:
        parts[noun] = joined({m: each.parts[noun] for m, each in transformed.items()})
        _link(dataset, parts[noun], {m: each.places[noun] for m, each in transformed.items()})
        parts[noun].uns[KEY] = {"noun": noun} | identity
    train, solution = parts["train"], parts["solution"]
    train.uns[KEY] |= {
        "fitted_on": "train cells",
        "fitted_cells": {modality: cells.n_obs for modality, cells in train.mod.items()},
    }
    if identity["kind"] == "as_measured":
        train.uns[KEY]["pairing"] = _pairing(division.has_of(division.train))
    in_query = division.has_of(division.query)
    if apart := [
        f"{one} and {other}"
        for one, other in combinations(in_query, 2)
        if not np.any(in_query[one] & in_query[other])
    ]:
        train.uns[KEY]["without_partners"] = apart
    if SHARED in dataset.obsm:
        solution.obsm[SHARED] = np.asarray(dataset.obsm[SHARED])[division.query]
    # In the order of the names of train cells.
    solution.uns["train_cells"] = np.asarray(dataset.obs_names[division.train], dtype=str)
    return parts


def _link(dataset: MuData, part: MuData, places: dict[str, np.ndarray]) -> None:
    restricted = links.restricted(dataset, part)
    if restricted is None:
        return
    genes = next((m for m, cells in part.mod.items() if cells.uns["kind"] == "rna"), None)
    for modality, cells in part.mod.items():
        if genes is None or cells.uns["kind"] != "atac":
            continue
        kept = dataset[genes].var_names.get_indexer(part[genes].var_names)
        of_genes = links_between(dataset, genes, modality)[kept]
        if ACTIVITY in dataset[modality].obsm:  # of more peaks than these cells show
            activity = sparse.csr_matrix(dataset[modality].obsm[ACTIVITY])
            cells.obsm[ACTIVITY] = activity[places[modality]][:, kept]
        elif of_genes.nnz:
            counts = source_values(dataset[modality])[places[modality]]
            cells.obsm[ACTIVITY] = links.gene_activity(counts, of_genes)
    part.varp[LINKS] = restricted


def _pairing(has: dict[str, np.ndarray]) -> str:
    if np.all(list(has.values())):
        return "paired"
    return "mosaic" if in_several(has).any() else "unpaired"


def _audited(
    dataset: MuData, division: Division, measured: Measured, transformed: dict[str, Transformed]
) -> list[tuple[str, Learned]]:
    designs: list[tuple[str, Learned]] = []

    def note(modality: str, what: str, cells: pd.Index) -> None:
        designs.append((modality, Learned(what, cells, "design")))

    names = dataset.obs_names
    of_train = names[division.train]
    if measured.balanced:
        note("-", "hidden cell types balance which cells are measured in what", of_train)
    for modality, (types, cells) in measured.left_out.items():
        what = f"train cells of these types are left out: {', '.join(types)}"
        note(modality, what, of_train[cells])
    if len(division.too_few):
        types = dataset.obs["cell_type"].iloc[division.too_few].unique()
        what = f"cells of types that are too few to be in the query, too: {', '.join(types)}"
        note("-", what, names[division.too_few])
    if len(several := patterns(division.has)) > 1:
        for pattern, rows in several:
            note("-", f"cells measured in {'+'.join(pattern)}", names[rows])
        if not division.used.all():
            note("-", "cells without all modalities are left out", names[~division.used])
        else:
            drawn_from = names[with_partners(division.has)]
            note("-", "cells that a random query is drawn from", drawn_from)
    designs += [(modality, each.variation) for modality, each in transformed.items()]
    for modality, cells in dataset.mod.items():
        if "chosen" in cells.uns:
            note(modality, cells.uns["chosen"], cells.obs_names)
    for modality, each in transformed.items():
        designs += [(modality, entry) for entry in each.log]
    return designs


# --- other splits --------------------------------------------------------------------------------


def all_cells(dataset: MuData, *, dataset_name: str, seed: int) -> MuData:
    """Return all cells of a dataset as train cells under their own names.

    Parameters
    ----------
    dataset, dataset_name, seed
        As of :func:`make_split`; nothing is hidden and nothing is drawn.
    """
    train, places = {}, {}
    for modality, cells in dataset.mod.items():
        places[modality] = np.arange(cells.n_obs)
        _, train[modality] = Preprocessing.fit_transform(_rows(dataset, modality, places[modality]))
        for column in ("cell_type", "batch"):
            train[modality].obs[column] = categorical(dataset.obs.loc[cells.obs_names, column])
    whole = joined(train)
    _link(dataset, whole, places)
    whole.uns[KEY] = {
        "noun": "train",
        "dataset": dataset_name,
        "scenario": "integrate",
        "kind": _pairing(measured_in(dataset)),
        "seed": seed,
    }
    return whole


def inner_split(
    train: MuData, *, fraction: float, seed: int, by: str | None = None
) -> dict[str, MuData]:
    """Split the train cells of a split once more, so that no query cell decides about settings.

    The inner split knows no more than ``train.h5mu`` says: modalities and types that the scenario
    hides stay hidden. Features are those of the split; idf, decomposition and moments are fitted
    again, on the inner train cells.

    Parameters
    ----------
    train
        The train cells of a split.
    fraction
        Of the cells that become the inner query, as ``query_fraction`` of a scenario.
    seed
        Draws the division, together with the split's own seed.
    by
        The column by which the scenario splits; one of its groups is left out. If train cells are all of
        one group, or `by` is None, cells are drawn at random, stratified by type.

    Returns
    -------
    dict of MuData
        Train, query and solution, with the dataset, scenario and seed of the split.

    Raises
    ------
    UserError
        When too few cells are left.
    """
    split = train.uns[KEY]
    dataset = _as_dataset(train, by)
    if by is not None and len(set(dataset.obs[by]) - {""}) < 2:
        print(
            f"all train cells have the same {by}, so the inner query is drawn at random",
            file=sys.stderr,
        )
        by = None
    parts = make_split(
        dataset,
        dataset_name=str(split["dataset"]),
        scenario=str(split["scenario"]),
        # Everything else that was to be hidden is hidden already.
        kind="paired" if split["kind"] == "paired" else "as_measured",
        seed=int(np.random.SeedSequence([seed, split["seed"]]).generate_state(1)[0]),
        query_fraction=fraction,
        split=None if by is None else {"by": by},
        preprocess=_all_features(train),
    )
    for part in parts.values():
        part.uns[KEY]["seed"] = split["seed"]
    parts["solution"].uns["audit"] = parts["solution"].uns["audit"].assign(seed=split["seed"])
    return parts


def _as_dataset(train: MuData, by: str | None) -> MuData:
    dataset = joined({modality: _source(cells) for modality, cells in train.mod.items()})
    for column in dict.fromkeys(["cell_type", "batch", by or "batch"]):
        said = pd.Series(said_of_cells(train, column), index=train.obs_names, dtype=object)
        dataset.obs[column] = categorical(said[dataset.obs_names])
    if LINKS in train.varp:
        dataset.varp[LINKS] = train.varp[LINKS]
    return dataset


def _source(cells: AnnData) -> AnnData:
    from anndata import AnnData

    values = "counts" if "counts" in cells.layers else cells.uns["normalization"]
    source = AnnData(
        obs=cells.obs.filter(items=["total"]),
        var=cells.var[[]].copy(),
        layers={values: cells.layers["counts"] if values == "counts" else cells.X},
        uns={"kind": cells.uns["kind"], "values": values},
    )
    if ACTIVITY in cells.obsm:
        source.obsm[ACTIVITY] = cells.obsm[ACTIVITY]
    return source


def _all_features(train: MuData) -> dict[str, dict]:
    """Return options that keep a split's transforms, varying features and number of components."""
    most = max(cells.n_vars for cells in train.mod.values())
    options = {"rna": {"features": most}}
    for cells in train.mod.values():
        kind = cells.uns["kind"]
        if "X_lsi" in cells.obsm:
            components = cells.obsm["X_lsi"].shape[1]
            options[kind] = {"features": max(most, 3), "components": components}
        options[kind] = dict(cells.uns.get("preprocess", {})) | options.get(kind, {})
    return options
