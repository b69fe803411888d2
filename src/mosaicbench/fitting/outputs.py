"""The inputs and outputs of a fit."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mosaicbench.errors import ContractError, Diverged, NotApplicable, UserError
from mosaicbench.files.identity import OF_SPLIT, check_place
from mosaicbench.fitting.job import Fit
from mosaicbench.fitting.meter import Meter
from mosaicbench.fitting.method import Implementation, hyperparameters_of, import_for

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from mudata import MuData

    from mosaicbench.contract import Cells, History, Method, Split
    from mosaicbench.files._h5 import Modalities
    from mosaicbench.files.runs import Draws

# Draws per direction: enough for coverage, and no more disk than imputed values take. A true value has 40 possible ranks among
# 39 draws, which intervals of 50 % and 90 % and 10 bins divide evenly.
DRAWS, DRAWN_CELLS, DRAWN_FEATURES = 39, 200, 32

# Bytes: files of splits up to this size are read once for several fits, and stay in memory until the last has ended.
SMALL = 2**26

Parts = Mapping[Path, "MuData"]  # train or query cells by their file

# Imports of anndata and the like are inside functions: a single fit imports them after its fork, since they may start threads.


@dataclass(frozen=True)
class MethodOnSplit:
    """A method object, and the cells that it may see.

    Attributes
    ----------
    gives
        The outputs of its card.
    shown
        Which of labels, links and counts the method sees.
    """

    method: Method
    gives: tuple[str, ...]
    train: MuData
    query: MuData
    shown: dict[str, bool]

    @property
    def cells(self) -> dict[str, int]:
        """The numbers of train and query cells."""
        return {"train": self.train.n_obs, "query": self.query.n_obs}

    def shown_cells(self, subset: str, source: str) -> Cells:
        """Return train or query cells of a modality, or of "joint" those with all; query cells have no labels."""
        from mosaicbench.files.splits import as_cells, complete_cells

        part, joint = getattr(self, subset), source == "joint"
        shown = self.shown | {"labels": self.shown["labels"] and subset == "train"}
        modalities = list(part.mod) if joint else [source]
        return as_cells(part, modalities, complete_cells(part) if joint else None, **shown)

    def split(self) -> Split:
        """Return what the method trains on."""
        from mosaicbench.files.splits import as_split

        return as_split(self.train, labels=self.shown["labels"], links=self.shown["links"])


def read_shared(fits: Sequence[Fit]) -> Parts:
    """Return the train and query cells that several fits read; nothing if their files are not small."""
    from mosaicbench.files.splits import read_split

    readers = Counter(
        (path, noun) for fit in fits for path, noun in ((fit.train, "train"), (fit.query, "query"))
    )
    shared = [part for part, number in readers.items() if number > 1]
    if sum(path.stat().st_size for path, _ in shared) > SMALL:
        return {}
    return {path: read_split(path, noun) for path, noun in shared}


def open_split(
    implementation: Implementation, fit: Fit, parts: Parts = MappingProxyType({})
) -> MethodOnSplit:
    """Make a method object and read the cells that it may see, except those in `parts`."""
    from mosaicbench.files.splits import as_truth, identity_of, read_split
    from mosaicbench.fitting.external import Names, vectors_from

    method, uses = implementation.create(**fit.hyperparameters), implementation.card["inputs"]
    train, query = (
        parts[path] if path in parts else read_split(path, noun)
        for path, noun in ((fit.train, "train"), (fit.query, "query"))
    )
    check_place(fit.train, identity_of(train), {key: fit.identity[key] for key in OF_SPLIT})
    check_place(fit.query, identity_of(query), identity_of(train))
    _check_pairing(train, implementation.card)
    if "solution" in uses:
        if fit.solution is None:
            raise UserError(f"{fit.identity['method']} reads the solution, and this job names none")
        method.reveal(as_truth(read_split(fit.solution, "solution", identity_of(train))))
    if "rna" in train.mod and str(getattr(method, "embedding", "")).endswith(".h5ad"):
        solution = read_split(fit.solution, "solution", identity_of(train))
        names = Names.of(train, query, solution)
        try:
            method.receive(vectors_from(Path(method.embedding), method.key, names))
        except ContractError as error:  # a fault of this run alone, not of the benchmark's files
            raise RuntimeError(str(error)) from None
    shown = {word: word in uses for word in ("labels", "links", "counts")}
    return MethodOnSplit(method, implementation.card["outputs"], train, query, shown)


def _check_pairing(train: MuData, card: dict) -> None:
    """Refuse an `as_measured` split if the method does not handle how its cells are paired."""
    from mosaicbench.files._h5 import KEY

    described = {
        "paired": "every train cell has all modalities, so it is paired",
        "mosaic": "some train cells have more modalities than others, so it is a mosaic",
        "unpaired": "no train cell has two modalities, so it is unpaired",
    }
    pairing = train.uns[KEY].get("pairing")
    if pairing is not None and pairing not in card["scenarios"]:
        raise NotApplicable(
            f"needs {' or '.join(card['scenarios'])} cells; in these data {described[pairing]}"
        )


def _without_partners(fitted: MethodOnSplit) -> list[str]:
    from mosaicbench.files._h5 import KEY
    from mosaicbench.files.splits import complete_cells

    facts = fitted.train.uns[KEY]
    apart = ", ".join(facts.get("without_partners", ()))
    remarks = []
    if apart:
        remarks.append(
            f"no query cell has both {apart}: scores that need partners are not applicable between them"
        )
    if "pairing" in facts and "joint" in fitted.gives and not len(complete_cells(fitted.query)):
        remarks.append("no joint latents: no query cell has all modalities")
    return remarks


def write_outputs(meter: Meter, fitted: MethodOnSplit, history: History, fit: Fit) -> dict:
    """Embed, impute, write all files but run.json, and return the status for its record.

    Parameters
    ----------
    fit
        Its description; with `keep`, the model is saved.

    Raises
    ------
    NotApplicable
        When the method can give none of its card's outputs.
    Diverged
        When an output is not finite.
    """
    import numpy as np

    from mosaicbench.files.runs import imputed_table, is_collapsed, latents_table

    meter.enter("embed")
    latents, no_latents = embedded(fitted) if {"joint", "single"} & set(fitted.gives) else ({}, [])
    private = _embed_private(fitted) if "private" in fitted.gives else {}
    predicted = _predict(fitted, latents) if "labels" in fitted.gives else {}
    meter.enter("impute")
    imputed, no_values = _impute(fitted) if "impute" in fitted.gives else ({}, [])
    meter.enter("draw" if "draws" in fitted.gives else "write")
    draws = _draw(fitted, imputed, fit.seed) if "draws" in fitted.gives else {}
    left_out = [*no_latents, *no_values, *_without_partners(fitted)]
    if left_out and not latents and not imputed:
        raise NotApplicable("; ".join(left_out))
    arrays = [*(array for _, array in [*latents.values(), *imputed.values()]), *private.values()]
    arrays += [drawn.values for drawn in draws.values()]
    if not all(np.isfinite(np.asarray(array, np.float32)).all() for array in arrays):
        raise Diverged(
            "the fitted method gave latents, imputed values or draws that are not finite"
        )

    meter.enter("write")
    _write_files(
        fit,
        latents_table(latents, private, predicted, identity=fit.identity),
        imputed_table(imputed, fitted.query, draws, identity=fit.identity),
        history,
    )
    collapsed = bool(latents) and is_collapsed(latents)
    remarks = ["no latent dimension varies over the query cells"] if collapsed else []
    remarks += [*getattr(fitted.method, "remarks", []), *left_out]
    shutil.rmtree(fit.model, ignore_errors=True)  # of an earlier fit
    if fit.keep or fit.candidate:
        not_kept = _keep(fitted, fit, latents)
        remarks += not_kept if fit.keep else []
    for remark in remarks:
        print(f"remark: {remark}", file=sys.stderr)
    meter.enter(None)
    return {
        "status": "collapsed" if collapsed else "ok",
        "message": "; ".join(remarks),
        "hyperparameters": hyperparameters_of(fitted.method),
    }


def _write_files(fit: Fit, latents: AnnData, imputed: Modalities, history: History) -> None:
    from mosaicbench.files.runs import write_history, write_imputed, write_latents

    write_latents(fit.output / "latents.h5ad", latents)
    write_imputed(fit.output / "imputed.h5mu", imputed)
    write_history(fit.output / "history.tsv", history)


def _keep(fitted: MethodOnSplit, fit: Fit, latents: dict) -> list[str]:
    from mosaicbench.fitting.keeping import keep

    try:
        keep(
            fit.model,
            fitted.method,
            import_for(fit.module, fit.identity["method"]),
            fitted.train,
            latents,
            identity=fit.identity,
            licence=fit.licence,
        )
    except UserError as reason:
        return [f"the model was not saved: {reason}"]
    return []


def write_failure(fit: Fit, record: dict) -> None:
    """Write the files of a run that gave nothing, and remove what a killed one was writing."""
    from mosaicbench.files.runs import imputed_table, latents_table, write_record

    remove_partial(fit.output)
    latents = latents_table({}, identity=fit.identity)
    values = imputed_table({}, None, identity=fit.identity)
    _write_files(fit, latents, values, [])
    write_record(fit.record, record)


def remove_partial(output: Path) -> None:
    """Remove what a killed process was writing."""
    for leftover in output.glob(".*.partial*"):
        leftover.unlink()


def embedded(fitted: MethodOnSplit) -> tuple[dict, list[str]]:
    """Return (source, subset) -> (names, latents), and a remark for each source without latents."""
    from mosaicbench.files.splits import complete_cells

    latents, refused = {}, {}
    joint = "joint" in fitted.gives and len(complete_cells(fitted.query)) > 0
    for subset, part in (("train", fitted.train), ("query", fitted.query)):
        sources = list(part.mod) if "single" in fitted.gives else []
        if joint and len(complete_cells(part)):
            sources.append("joint")
        for source in sources:
            cells = fitted.shown_cells(subset, source)
            try:
                latents[source, subset] = (cells.names, fitted.method.embed(cells))
            except NotApplicable as reason:
                refused[source] = str(reason)
    left_out = [f"no latents of {source}: {reason}" for source, reason in refused.items()]
    return {
        (source, subset): z for (source, subset), z in latents.items() if source not in refused
    }, left_out


def _embed_private(fitted: MethodOnSplit) -> dict[tuple[str, str], np.ndarray]:
    private = {
        (modality, subset): fitted.method.embed_private(fitted.shown_cells(subset, modality))
        for subset, part in (("train", fitted.train), ("query", fitted.query))
        for modality in part.mod
    }
    return {source: z for source, z in private.items() if z.shape[1]}


def _predict(fitted: MethodOnSplit, latents: dict) -> dict[tuple[str, str], np.ndarray]:
    return {
        (source, subset): fitted.method.predict(fitted.shown_cells(subset, source))
        for source, subset in latents
        if subset == "query"
    }


def _impute(fitted: MethodOnSplit) -> tuple[dict, list[str]]:
    imputed, left_out = {}, []
    for source, target in permutations(fitted.query.mod, 2):
        cells = fitted.shown_cells("query", source)
        try:
            imputed[source, target] = (cells.names, fitted.method.impute(cells, target))
        except NotApplicable as reason:
            left_out.append(f"no {source}->{target}: {reason}")
    return imputed, left_out


def _draw(fitted: MethodOnSplit, imputed: dict, seed: int) -> dict[tuple[str, str], Draws]:
    """Return (source, target) -> draws for a sample of cells and features, the same for every method."""
    import numpy as np

    from mosaicbench.files.runs import Draws
    from mosaicbench.files.splits import feature_names

    order, found = list(fitted.query.mod), {}
    for source, target in imputed:
        cells = fitted.shown_cells("query", source)
        of_cells, of_features = (
            np.random.default_rng([seed, order.index(m), i]) for i, m in enumerate((source, target))
        )
        rows = np.sort(of_cells.permutation(len(cells))[:DRAWN_CELLS])
        features = np.sort(
            of_features.permutation(len(feature_names(fitted.query[target])))[:DRAWN_FEATURES]
        )
        drawn_of = cells.take(rows)
        values = fitted.method.draw(drawn_of, target, features, DRAWS, seed)
        found[source, target] = Draws(
            drawn_of.names, features, np.asarray(values, dtype=np.float32)
        )
    return found
