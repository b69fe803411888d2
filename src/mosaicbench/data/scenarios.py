"""How pairing is hidden: a dataset becomes what a method may see (train, query) and what only the scorer receives (solution).

=========  ==================================================  =====================================================
kind       train cells                                         query
=========  ==================================================  =====================================================
paired     all modalities in every cell                        jointly named: which rows are one cell is known
unpaired   one modality in each cell                           each modality under its own names, in its own order
mosaic     a share has all, the rest one each; or blocks that  jointly named: methods infer from one modality at a
           each show some modalities                           time, and from all of them
natural    as the dataset has them: nothing is hidden          jointly named, as far as modalities have cells in common
=========  ==================================================  =====================================================

A dataset may have cells that lack modalities. A query drawn at random then comes from the cells with at least two
modalities, so that there are true partners to score by, and from all cells of a modality that shares none; `paired` takes only
cells with all modalities, in train cells and query. A `split` takes whole groups, whatever their cells have.

Absence is an absent row. Where every cell has all modalities, the query is the same cells for every kind of scenario with the
same seed and split; only what is hidden differs. Validation cells are not cut here: training draws them from the train cells,
so no score ever sees them, and what is fitted before (features, moments) is fitted on train cells, validation ones included.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data import links, scale
from mosaicbench.data.assemble import categorical, check_options, joined, source_values
from mosaicbench.data.audit import AUDIT_COLUMNS, audit_table
from mosaicbench.data.fitted import Learned
from mosaicbench.data.pairing import (
    KINDS,
    Measured,
    check_cells,
    designed,
    few_labels,
    patterns,
    stratified,
    with_partners,
)
from mosaicbench.data.preprocess import ALL, Preprocessing, check_preprocess
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import ACTIVITY, LINKS, links_between, measured_in

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

SHARED, PRIVATE = (
    "shared_factors",
    "private_factors",
)  # what a simulated dataset knows: keys of obsm, for the solution only
CORRUPTION = 1  # beside the seed, what draws wrong links, so that they change nothing else
DRIVEN = "shared_driven"  # which features the shared factors move: a column of var, for the solution only


def cut(
    dataset: MuData,
    *,
    dataset_name: str,
    scenario: str,
    kind: str,
    seed: int,
    query_fraction: float = 0.2,
    split: dict | None = None,
    preprocess: dict[str, dict] | None = None,
    labelled: dict | None = None,
    corrupted_links: float = 0.0,
    **hiding: object,
) -> dict[str, MuData]:
    """Divide a dataset's cells into train and query, and hide what the kind of scenario hides.

    Parameters
    ----------
    dataset
        A dataset as ``files.read_dataset`` returns it.
    dataset_name, scenario
        Names to write into the parts.
    kind
        One of `KINDS`.
    seed
        Draws the division, the order of the rows, and with it their names.
    query_fraction
        Fraction of the cells that become the query, stratified by cell type (unlabelled cells are a class). A class of few
        cells may lie wholly on one side. Not used where `split` is given.
    split
        ``{"by": column of obs, "held_out": [names]}``: the query is those batches, donors or wells, whole. Without
        ``held_out`` the seed leaves one out: the seed-th in order of name, beginning again after the last.
    preprocess
        kind of modality -> options of its transform, where they differ from the defaults in ``preprocess``.
    labelled
        Which train cells show their cell type, options of :func:`few_labels`; all that have one if left out.
    corrupted_links
        Share of the links among the chosen features that are replaced by wrong ones, drawn by the seed: see
        ``links.corrupted``. Gene activities follow; cells and chosen features are those of the true links.
    **hiding
        Options of the kind of scenario.

    Returns
    -------
    dict of MuData
        "train", "query" and "solution", which satisfy the contracts in ``files``. Links between features stand in the ``varp``
        of each, gene activities in the ATAC modality's ``obsm``, and in the solution ``uns["audit"]``: ``audit.audit_table``.
        The train cells of a `natural` scenario say in ``uns`` which kind they amount to, ``pairing``; those of any, which
        modalities have no query cell in common, ``without_partners``.

    Raises
    ------
    UserError
        When the kind or an option is unknown, when the kind needs cells with all modalities and there are none, or when too few
        cells are left.
    RuntimeError
        When anything was learned from a cell that is no train cell.
    """
    if kind not in KINDS:
        raise UserError(f"kind: unknown scenario kind {kind!r}; there are {', '.join(KINDS)}")
    check_options(KINDS[kind], hiding, f"scenario {scenario}")
    preprocess = {} if preprocess is None else preprocess
    check_preprocess(preprocess)

    rng = np.random.default_rng(seed)
    labels = np.asarray(dataset.obs["cell_type"], dtype=object)
    batches = np.asarray(dataset.obs["batch"], dtype=object)
    has = measured_in(dataset)
    check_cells(kind, scenario, dataset_name, has)
    used = (
        np.all(list(has.values()), axis=0)
        if kind == "paired"
        else np.ones(dataset.n_obs, dtype=bool)
    )
    if split is None:
        in_query = _random_split(
            labels, {m: mask & used for m, mask in has.items()}, query_fraction, rng
        )
    else:
        in_query = used & _split_by(dataset.obs, seed, **_checked(split))
    query_cells = np.flatnonzero(in_query)
    train_cells = rng.permutation(np.flatnonzero(used & ~in_query))
    measured = designed(
        kind, labels[train_cells], {m: mask[train_cells] for m, mask in has.items()}, rng, hiding
    )
    _check_sizes(measured, {modality: mask[query_cells] for modality, mask in has.items()})
    told = labels
    if labelled is not None:
        check_options(few_labels, labelled, "labelled")
        told = np.full(len(labels), "", dtype=object)
        # Its own source of chance: the same cells, whatever is shown of their types.
        chosen = few_labels(
            labels[train_cells], batches[train_cells], np.random.default_rng([seed, 1]), **labelled
        )
        told[train_cells[chosen]] = labels[train_cells[chosen]]

    train_names = np.array([f"train-{cell:06d}" for cell in range(len(train_cells))], dtype=object)
    joint_order = rng.permutation(len(query_cells))
    joint_place = np.argsort(joint_order)
    train, query, solution, places, log, scales = {}, {}, {}, {}, {}, []
    for modality, cells in dataset.mod.items():
        row_of = cells.obs_names.get_indexer(dataset.obs_names)  # (cells,), -1 where absent
        rows = train_cells[measured.train[modality]]
        observed = _rows(cells, row_of[rows])
        observed.var["kept"] = _encodes_protein(dataset, modality)
        options = preprocess.get(cells.uns["kind"], {})
        fit_to = observed
        if options.get("fit_on") == ALL:
            fit_to = _rows(cells, row_of[np.flatnonzero(used & has[modality])])
            fit_to.var["kept"] = observed.var["kept"]
        fitted, train[modality] = Preprocessing.fit_transform(observed, fit_to, **options)
        train[modality].obs_names = pd.Index(train_names[measured.train[modality]])
        if split is not None:  # so that train cells can be divided in the same way once more
            train[modality].obs[split["by"]] = categorical(dataset.obs[split["by"]].iloc[rows])
        train[modality].obs["cell_type"] = categorical(told[rows])
        train[modality].obs["batch"] = categorical(batches[rows])
        log[modality] = [
            *fitted.log,
            Learned("cell types shown", observed.obs_names[told[rows] != ""], "label"),
        ]
        del observed, fit_to

        within = np.flatnonzero(
            has[modality][query_cells]
        )  # of the query cells, those measured in the modality
        own = query_cells[within]
        order = np.argsort(joint_place[within]) if measured.joint else rng.permutation(len(own))
        names = np.sort(joint_place[within]) if measured.joint else np.arange(len(own))
        prefix = "query" if measured.joint else f"{modality}-query"
        held_out = fitted.transform(_rows(cells, row_of[own]))
        query[modality] = held_out[order].copy()
        scales.append(
            (
                modality,
                Learned(scale.in_words(train[modality], held_out), dataset.obs_names[own], "scale"),
            )
        )
        query[modality].obs_names = pd.Index([f"{prefix}-{name:06d}" for name in names])
        query[modality].obs["batch"] = categorical(batches[own[order]])
        solution[modality] = _told(
            held_out, cells, row_of[own], query[modality].obs_names[np.argsort(order)]
        )
        solution[modality].obs["cell_type"] = categorical(labels[own])
        solution[modality].obs["batch"] = categorical(batches[own])
        places[modality] = {
            "train": row_of[rows],
            "query": row_of[own[order]],
            "solution": row_of[own],
        }

    parts = {
        noun: joined(mod)
        for noun, mod in (("train", train), ("query", query), ("solution", solution))
    }
    if SHARED in dataset.obsm:
        parts["solution"].obsm[SHARED] = np.asarray(dataset.obsm[SHARED])[query_cells]
    if corrupted_links:
        chosen = {modality: list(cells.var_names) for modality, cells in train.items()}
        dataset = links.corrupted(
            dataset, corrupted_links, chosen, np.random.default_rng([seed, CORRUPTION])
        )
    for noun, part in parts.items():
        _link(dataset, part, {modality: of_part[noun] for modality, of_part in places.items()})
        part.uns[KEY] = {
            "noun": noun,
            "dataset": dataset_name,
            "scenario": scenario,
            "kind": kind,
            "seed": seed,
        }
    fitted_cells = {modality: cells.n_obs for modality, cells in train.items()}
    parts["train"].uns[KEY] |= {"fitted_on": "train cells", "fitted_cells": fitted_cells}
    if kind == "natural":
        parts["train"].uns[KEY]["pairing"] = _pairing(
            {m: mask[train_cells] for m, mask in has.items()}
        )
    if apart := [
        f"{one} and {other}"
        for one, other in combinations(has, 2)
        if not np.any(has[one] & has[other] & in_query)
    ]:
        parts["train"].uns[KEY]["without_partners"] = apart
    others = [
        *_designs(measured, dataset.obs_names[train_cells]),
        *_measurements(dataset.obs_names, has, used),
        *scales,
    ]
    others += [
        (m, Learned(cells.uns["chosen"], cells.obs_names, "design"))
        for m, cells in dataset.mod.items()
        if "chosen" in cells.uns
    ]
    audit = audit_table(
        dataset.obs[used], in_query[used], log, stratified=split is None, others=others
    )
    parts["solution"].uns["train_cells"] = np.asarray(
        dataset.obs_names[train_cells], dtype=str
    )  # in the order of train_names
    parts["solution"].uns["audit"] = audit.assign(
        dataset=dataset_name, scenario=scenario, seed=seed
    )[AUDIT_COLUMNS]
    return parts


def all_cells(
    dataset: MuData, *, dataset_name: str, seed: int, preprocess: dict[str, dict] | None = None
) -> MuData:
    """Return all cells of a dataset as train cells under their own names: what a model of one's own cells is fitted to.

    Parameters
    ----------
    dataset, dataset_name, seed, preprocess
        As of :func:`cut`; nothing is hidden and nothing is drawn.
    """
    preprocess = {} if preprocess is None else preprocess
    check_preprocess(preprocess)
    train: dict[str, AnnData] = {}
    for modality, cells in dataset.mod.items():
        observed = _rows(cells, np.arange(cells.n_obs))
        observed.var["kept"] = _encodes_protein(dataset, modality)
        _, train[modality] = Preprocessing.fit_transform(
            observed, **preprocess.get(cells.uns["kind"], {})
        )
        for column in ("cell_type", "batch"):
            train[modality].obs[column] = categorical(dataset.obs.loc[cells.obs_names, column])
    whole = joined(train)
    _link(
        dataset,
        whole,
        {modality: np.arange(cells.n_obs) for modality, cells in dataset.mod.items()},
    )
    kind = _pairing(measured_in(dataset))
    whole.uns[KEY] = {
        "noun": "train",
        "dataset": dataset_name,
        "scenario": "integrate",
        "kind": kind,
        "seed": seed,
    }
    return whole


def _checked(split: dict) -> dict:
    if "by" not in split:
        raise UserError(
            "split: the key 'by' is missing; it names a column of the dataset, such as batch"
        )
    check_options(_split_by, split, "split")
    return split


def _random_split(
    labels: np.ndarray, has: dict[str, np.ndarray], query_fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a mask of the query cells, stratified by cell type, and by what was measured where that differs."""
    if not 0 < query_fraction < 1:
        raise UserError(f"query_fraction: must lie between 0 and 1, found {query_fraction}")
    possible = with_partners(has)
    classes = labels.astype(str).astype(object)
    if len(several := patterns({m: mask[possible] for m, mask in has.items()})) > 1:
        for number, (_, rows) in enumerate(several):
            at = np.flatnonzero(possible)[rows]
            classes[at] = f"{number} " + classes[at]
    in_query = np.zeros(len(labels), dtype=bool)
    in_query[possible] = stratified(classes[possible], query_fraction, rng)
    return in_query


def _split_by(
    obs: pd.DataFrame, seed: int, *, by: str, held_out: Sequence[str] | None = None
) -> np.ndarray:
    """Return a mask of the query cells: whole groups of the column `by`."""
    if by not in obs:
        raise UserError(
            f"split.by: the dataset has no column {by!r}; there are {', '.join(map(str, obs.columns))}"
        )
    groups = np.array([str(name) for name in obs[by]], dtype=object)
    names = sorted(set(groups))
    if len(names) < 2:
        raise UserError(
            f"split.by: all cells have the same {by}, {names[0]!r}; nothing can be held out, split at random instead"
        )
    chosen = [names[seed % len(names)]] if held_out is None else [str(name) for name in held_out]
    if unknown := sorted(set(chosen) - set(names)):
        raise UserError(
            f"split.held_out: no cell has {by} {unknown[0]!r}; there are {', '.join(names)}"
        )
    if not chosen or set(chosen) == set(names):
        raise UserError(
            f"split.held_out: {len(chosen)} of {len(names)} are held out; some must stay on either side"
        )
    return np.isin(groups, chosen)


def _designs(measured: Measured, names: pd.Index) -> list[tuple[str, Learned]]:
    """Return, for the audit, what decided which train cells are measured in what; `names` are those of the train cells."""
    found = []
    if measured.balanced:
        found.append(
            (
                "-",
                Learned(
                    "hidden cell types balance which cells are measured in what", names, "design"
                ),
            )
        )
    for modality, (types, cells) in measured.left_out.items():
        found.append(
            (
                modality,
                Learned(
                    f"train cells of these types are left out: {', '.join(types)}",
                    names[cells],
                    "design",
                ),
            )
        )
    return found


def _measurements(
    names: pd.Index, has: dict[str, np.ndarray], used: np.ndarray
) -> list[tuple[str, Learned]]:
    """Return, for the audit, how many cells were measured in what, where cells differ, and which are left out."""
    several = patterns(has)
    if len(several) == 1:
        return []
    found = [
        ("-", Learned(f"cells measured in {'+'.join(pattern)}", names[rows], "design"))
        for pattern, rows in several
    ]
    if not used.all():
        found.append(
            ("-", Learned("cells without all modalities are left out", names[~used], "design"))
        )
    else:
        found.append(
            (
                "-",
                Learned(
                    "cells that a random query is drawn from", names[with_partners(has)], "design"
                ),
            )
        )
    return found


def _pairing(has: dict[str, np.ndarray]) -> str:
    """Return the kind that train cells amount to: "paired", "unpaired" where none has two modalities, or "mosaic"."""
    number = np.sum(list(has.values()), axis=0)
    return (
        "paired" if np.all(number == len(has)) else "unpaired" if np.all(number < 2) else "mosaic"
    )


def _rows(cells: AnnData, rows: np.ndarray) -> AnnData:
    """Return cells with their values alone, copied once: a view would copy them at every look."""
    from anndata import AnnData

    layer = cells.uns["values"]
    return AnnData(
        obs=cells.obs[[column for column in ("total",) if column in cells.obs]].iloc[rows],
        var=pd.DataFrame(index=cells.var_names),
        layers={layer: source_values(cells)[rows]},
        uns={"kind": cells.uns["kind"], "values": layer},
    )


def _encodes_protein(dataset: MuData, modality: str) -> np.ndarray:
    """Return which features are linked with a protein: they carry the links, so they are chosen however little they vary."""
    proteins = [
        other
        for other, cells in dataset.mod.items()
        if cells.uns["kind"] == "adt" and other != modality
    ]
    linked = [links_between(dataset, modality, other).getnnz(axis=1) > 0 for other in proteins]
    return np.any(linked, axis=0) if linked else np.zeros(dataset[modality].n_vars, dtype=bool)


def _link(dataset: MuData, part: MuData, places: dict[str, np.ndarray]) -> None:
    """Give a part the links among its features, and its ATAC modalities the activities of its genes, from all their peaks."""
    restricted = links.restricted(dataset, part)
    kinds = {modality: cells.uns["kind"] for modality, cells in part.mod.items()}
    genes = next((modality for modality, kind in kinds.items() if kind == "rna"), None)
    for modality, cells in part.mod.items():
        if restricted is None or genes is None or kinds[modality] != "atac":
            continue
        kept = dataset[genes].var_names.get_indexer(part[genes].var_names)
        of_genes = links_between(dataset, genes, modality)[kept]
        if ACTIVITY in dataset[modality].obsm:  # of more peaks than these cells show
            cells.obsm[ACTIVITY] = sparse.csr_matrix(dataset[modality].obsm[ACTIVITY])[
                places[modality]
            ][:, kept]
        elif of_genes.nnz:
            cells.obsm[ACTIVITY] = links.gene_activity(
                source_values(dataset[modality])[places[modality]], of_genes
            )
    if restricted is not None:
        part.varp[LINKS] = restricted


def _check_sizes(measured: Measured, in_query: dict[str, np.ndarray]) -> None:
    fewest = min(len(rows) for rows in measured.train.values())
    query_cells = min(int(mask.sum()) for mask in in_query.values())
    if query_cells < 1 or fewest < 2:
        raise UserError(
            f"query_fraction: leaves {query_cells} query cells and, in one modality, {fewest} train cells; "
            "a scenario needs at least 1 and 2: give more cells or another query_fraction"
        )


def _told(held_out: AnnData, source: AnnData, rows: np.ndarray, query_names: pd.Index) -> AnnData:
    """Return held-out cells with the name of their row in the query and what is known of their private factors and features."""
    told = held_out.copy()
    told.obs["query_name"] = np.asarray(query_names, dtype=object)
    if PRIVATE in source.obsm:
        told.obsm[PRIVATE] = np.asarray(source.obsm[PRIVATE])[rows]
    if DRIVEN in source.var:
        told.var[DRIVEN] = source.var.loc[told.var_names, DRIVEN].to_numpy(dtype=bool)
    return told
