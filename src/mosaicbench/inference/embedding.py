"""The user's cells through a saved model, in chunks: latents, types, imputed values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from mosaicbench.contract import Cells
from mosaicbench.data.normalize import counts_from_lognorm
from mosaicbench.errors import NotApplicable, UserError
from mosaicbench.files.models import KeptModel
from mosaicbench.files.progress import progress
from mosaicbench.inference.matching import Matched
from mosaicbench.inference.measured import OwnCells
from mosaicbench.metrics._nearest import transfer_with_fraction

AT_ONCE = 4 * 4096  # cells; models compute on 4,096 at a time, so results do not depend on it
JOINT = "joint"
K = 15  # nearest train cells that vote for a type

Allocate = Callable[[str, tuple[int, int]], object]  # name, shape -> a float32 array to fill


@dataclass
class Applied:
    """The output of a model for the user's cells.

    Attributes
    ----------
    matched
        modality -> its match in the user's cells.
    latents
        source -> table of (cells, latent).
    types
        source -> table of cell_type and agreement; only where train cells have types.
    imputed
        direction, as "rna->atac" -> names of the cells, and "X" and perhaps "counts" -> (cells,
        features).
    remarks
        What the model could not give, and why.
    """

    matched: dict[str, Matched]
    latents: dict[str, pd.DataFrame]
    types: dict[str, pd.DataFrame]
    imputed: dict[str, tuple[pd.Index, dict]]
    remarks: list[str]


def embedded(
    kept: KeptModel,
    method: object,
    own: OwnCells,
    found: dict[str, Matched],
    *,
    impute: Allocate | None,
) -> Applied:
    """Embed every cell from each of its modalities and from all, give it a type, impute the rest.

    `found` are the model's modalities in the user's cells. `impute` returns an array for the values of
    a direction; None imputes nothing. A model that gives nothing of such cells is refused.
    """
    applied, outputs = Applied(found, {}, {}, {}, []), kept.facts["card"]["outputs"]
    known = list(kept.facts["modalities"])
    model = _Model(kept, method, _batches(own, found), applied)
    sources = {modality: [modality] for modality in found} if "single" in outputs else {}
    if JOINT in outputs and len(found) == len(known):
        sources[JOINT] = list(found)
    for source, modalities in sources.items():
        model.embed(source, modalities)
    if impute is not None and "impute" in outputs:
        done = {target: found[target].names if target in found else [] for target in known}
        for source, target in product(found, known):
            names = found[source].names[~found[source].names.isin(done[target])]
            # a direction that fails here may work from the next modality
            if source != target and len(names) and model.impute(source, target, names, impute):
                done[target] = [*done[target], *names]
    if not applied.latents and not applied.imputed:
        why = f"it needs {' and '.join(known)} of the same cells, and these have {', '.join(found)}"
        if not {JOINT, "single"} & set(outputs):
            why = "it only imputes, and no cell lacks one of its modalities, or imputing is off"
        reasons = "; ".join(applied.remarks) or why
        raise UserError(f"the model gives nothing of these cells: {reasons}")
    return applied


@dataclass
class _Model:
    """A model that adds to what was applied."""

    kept: KeptModel
    method: object
    batches: pd.Series
    applied: Applied

    def cells(self, modalities: list[str], names: pd.Index) -> Cells:
        values = {}
        for modality in modalities:
            match = self.applied.matched[modality]
            values[modality] = match.values(match.names.get_indexer(names))
        batches = self.batches.reindex(names).fillna("").to_numpy(dtype=object)
        return Cells(names=np.asarray(names, dtype=object), values=values, batches=batches)

    def embed(self, source: str, modalities: list[str]) -> None:
        """Add the latents and types of the cells with all of `modalities`."""
        names, *others = (self.applied.matched[modality].names for modality in modalities)
        for other in others:
            names = names[names.isin(other)]
        if not len(names):
            return
        latents = []
        try:
            for few in progress(f"latents of {source}", _pieces(names)):
                z = self.method.embed(self.cells(modalities, names[few]))
                latents.append(np.asarray(z, dtype=np.float32))
        except NotApplicable as reason:
            self.applied.remarks.append(f"no latents of {source}: {reason}")
            return
        except KeyError as error:
            raise UserError(
                f"the method reads {error} of cells, such as gene activities, which a saved model "
                "cannot make"
            ) from error
        self.applied.latents[source] = pd.DataFrame(np.concatenate(latents), names)
        types = self.kept.split.get(f"latents/{source}/cell_types")
        if types is not None and np.any(types != ""):
            train, tables = self.kept.split[f"latents/{source}"], []
            for z in latents:
                voted, agreement = transfer_with_fraction(train, types, z, ks=[K])[K]
                table = {"cell_type": voted, "agreement": agreement.astype(np.float32)}
                tables.append(pd.DataFrame(table))
            self.applied.types[source] = pd.concat(tables).set_axis(names)

    def impute(self, source: str, target: str, names: pd.Index, allocate: Allocate) -> bool:
        """Add the values of one direction, not standardised; return whether that was possible.

        Of log-normalised counts also expected counts, with the train cells' median library size.
        """
        facts, split = self.kept.facts["modalities"][target], self.kept.split
        counted = facts["normalization"] == "lognorm" and facts["values"] == "counts"
        direction, layers = f"{source}->{target}", {}
        try:
            for few in progress(direction, _pieces(names)):
                x = self.method.impute(self.cells([source], names[few]), target)
                if not layers:
                    for layer in ("X", "counts") if counted else ("X",):
                        layers[layer] = allocate(f"{direction}/{layer}", (len(names), x.shape[1]))
                values = (x * split[f"{target}/std"] + split[f"{target}/mean"]).astype(np.float32)
                layers["X"][few] = values
                if counted:
                    library_size = np.full(len(x), float(split[f"{target}/library_size"]))
                    counts = counts_from_lognorm(values, library_size)
                    layers["counts"][few] = np.maximum(counts, 0)
        except NotApplicable as reason:
            self.applied.remarks.append(f"no {direction}: {reason}")
            return False
        self.applied.imputed[direction] = (names, layers)
        return True


def _pieces(names: pd.Index) -> list[slice]:
    return [slice(first, first + AT_ONCE) for first in range(0, len(names), AT_ONCE)]


def _batches(own: OwnCells, found: dict[str, Matched]) -> pd.Series:
    tables = [own.obs, *(own.modalities[match.theirs].obs for match in found.values())]
    parts = [table["batch"].rename(index=str).astype(str) for table in tables if "batch" in table]
    together = pd.concat([pd.Series(dtype=object), *parts])
    return together[~together.index.duplicated()]
