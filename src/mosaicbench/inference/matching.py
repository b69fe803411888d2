"""The features of a model found in the user's cells, by name; and values as the model's split has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.normalize import Clr, Continuous, LogNormalised, Lsi
from mosaicbench.errors import UserError
from mosaicbench.files.models import KeptModel
from mosaicbench.files.splits import space_values
from mosaicbench.inference.measured import Matrix, Measured, holding

LEAST_SHARE = (
    0.5  # of a modality's features; with fewer, what is embedded is mostly the train cells' mean
)
NAMES_SHOWN = 3


@dataclass(frozen=True)
class Matched:
    """One modality of a model in the user's cells.

    Attributes
    ----------
    modality, theirs
        What the model calls it, and the user.
    names
        (cells,) of the user.
    found
        (features,) whether each of the model's features is there; one that is not stands at the train cells' mean.
    columns
        Positions of the found ones in the user's matrix.
    facts, held
        What the model says of the modality, and the arrays of its transform.
    """

    modality: str
    theirs: str
    names: pd.Index
    matrix: Matrix
    found: np.ndarray
    columns: np.ndarray
    facts: dict
    held: dict[str, np.ndarray]

    def values(self, rows: np.ndarray) -> np.ndarray:
        """Return the cells at `rows` as the model's split has them, (cells, dimensions) standardised float32."""
        mean, std = self.held["mean"], self.held["std"]
        x = (self._in_space(rows) - mean) / std
        return (np.clip(x, -10, 10) if self.facts["standardised"] else x).astype(
            np.float32, copy=False
        )

    def _in_space(self, rows: np.ndarray) -> np.ndarray:
        from anndata import AnnData

        layer, columns = self.facts["values"], self.columns
        taken = sparse.csr_matrix(self.matrix.take(rows), dtype=np.float32)
        if (
            self.facts["normalization"] == "clr"
        ):  # proteins that the model lacks have no part in the mean
            taken, columns = taken[:, columns], np.arange(len(columns))
        names = pd.DataFrame(index=[str(column) for column in range(taken.shape[1])])
        of_cells = pd.DataFrame(index=[str(row) for row in range(taken.shape[0])])
        cells = AnnData(
            obs=of_cells,
            var=names,
            layers={layer: taken},
            uns={"kind": self.facts["kind"], "values": layer},
        )
        x = space_values(self._steps(columns).transform(cells))
        if self.found.all():
            return x
        if self.facts["normalization"] == "lsi":
            return x + (self.held["usual"] * ~self.found) @ self.held["loadings"]
        filled = np.tile(self.held["mean"], (len(rows), 1))
        filled[:, self.found] = x
        return filled

    def _steps(self, columns: np.ndarray) -> LogNormalised | Lsi | Clr | Continuous:
        if self.facts["normalization"] == "lsi":
            kept = {name: self.held[name][self.found] for name in ("weight", "loadings", "depth")}
            return Lsi(columns=columns, values=self.facts["transform"], **kept)
        return {"lognorm": LogNormalised, "clr": Clr, "continuous": Continuous}[
            self.facts["normalization"]
        ](columns=columns)


def matched(
    kept: KeptModel, modalities: dict[str, Measured], *, min_fraction: float = LEAST_SHARE
) -> dict[str, Matched]:
    """Return the model's modalities that the user's cells have, in the model's order.

    A modality is that of the same name; one that has no name of the model's is that of whose features it has most. Where it has
    none of them, or that one is there under its own name, it is unknown to the model and left out.

    Raises
    ------
    UserError
        When none is there, has a cell, or has `min_fraction` of the model's features; when that is no share.
    """
    if not 0 <= min_fraction <= 1:
        raise UserError(f"min_fraction: expected a share, from 0 to 1, found {min_fraction}")
    if empty := [name for name, measured in modalities.items() if not len(measured.obs)]:
        raise UserError(f"modality {empty[0]!r} has no cell")
    from anndata.utils import make_index_unique

    known = kept.facts["modalities"]
    called = _called(modalities, known)
    if twice := [name for name in set(called.values()) if list(called.values()).count(name) > 1]:
        both = ", ".join(theirs for theirs, name in called.items() if name == twice[0])
        raise UserError(
            f"modalities {both} all have features of the model's {twice[0]!r}; call one of them {twice[0]!r}"
        )
    found = {}
    for modality, theirs in sorted(
        ((ours, theirs) for theirs, ours in called.items()),
        key=lambda pair: list(known).index(pair[0]),
    ):
        facts = known[modality]
        measured = modalities[theirs]
        matrix = holding(theirs, measured, facts["values"])
        features = make_index_unique(
            pd.Index([str(name) for name in matrix.features], dtype=object)
        )  # as of train cells
        places = features.get_indexer(pd.Index(facts["features"]))
        there = places >= 0
        if there.mean() < min_fraction or not there.any():
            raise UserError(
                _too_few(theirs, modality, facts["features"], matrix.features, there, min_fraction)
            )
        held = {
            key.partition("/")[2]: array
            for key, array in kept.split.items()
            if key.partition("/")[0] == modality
        }
        names = pd.Index(measured.obs.index.astype(str))
        if not names.is_unique:
            raise UserError(
                f"modality {theirs!r} names a cell twice, {names[names.duplicated()][0]!r}; make the names unique"
            )
        found[modality] = Matched(
            modality, theirs, names, matrix, there, places[there], facts, held
        )
    return found


def _called(modalities: dict[str, Measured], known: dict[str, dict]) -> dict[str, str]:
    """Return what the model calls the modalities that it knows; if it knows none, the first stands for what is most like it."""
    alike = {
        name: _most_alike(measured, known)
        for name, measured in modalities.items()
        if name not in known
    }
    meant = {
        name: ours for name, (ours, share) in alike.items() if share > 0 and ours not in modalities
    }
    called = {name: name for name in modalities if name in known} | meant
    return called or {name: ours for name, (ours, _) in list(alike.items())[:1]}


def _most_alike(measured: Measured, known: dict[str, dict]) -> tuple[str, float]:
    """Return the model's modality of whose features this one has the largest share, and the share."""
    names = set().union(*(map(str, matrix.features) for matrix in measured.matrices)) | set(
        map(str, measured.var.index)
    )
    shares = {
        modality: np.mean([feature in names for feature in facts["features"]])
        for modality, facts in known.items()
    }
    ours = max(shares, key=shares.get)
    return ours, shares[ours]


def _too_few(
    theirs: str,
    modality: str,
    wanted: list[str],
    given: pd.Index,
    there: np.ndarray,
    min_fraction: float,
) -> str:
    """Return one message about features that are not there, and what they may be instead."""
    lower = {name.lower() for name in given}
    anyhow = sum(name.lower() in lower for name in wanted)
    hint = "they are of another panel, set of peaks or genome: count the model's features in these cells"
    if anyhow > 2 * there.sum() and anyhow > len(wanted) / 4:
        hint = f"{anyhow} match but for capital letters, as genes of another species do: the model does not know this species"
    elif given.str.match(r"ENS[A-Z]*G\d+").mean() > 0.5:
        hint = "they are Ensembl ids: name them as the model does"
    shown, ours = ", ".join(given[:NAMES_SHOWN]), ", ".join(wanted[:NAMES_SHOWN])
    return (
        f"modality {theirs!r} has {there.sum()} of the {len(wanted)} features that the model reads of {modality!r}, fewer than "
        f"{min_fraction:.0%} (here: {shown}, …; the model's: {ours}, …); {hint}"
    )
