"""The features of a model in the user's cells, by name, and values as in the model's split."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique
from scipy import sparse

from mosaicbench.data.normalize import Clr, Continuous, LogNormalised, Lsi
from mosaicbench.errors import UserError
from mosaicbench.files.models import KeptModel
from mosaicbench.files.splits import space_values
from mosaicbench.inference.measured import Matrix, Measured, holding

LEAST_FRACTION = 0.5  # of a modality's features; below, latents are mostly the train cells' mean
NAMES_SHOWN = 3
ENSEMBL = re.compile(r"ENS[A-Z]*G\d+")
NEARLY_ALL = 0.9  # of a panel; of its proteins' names, about half are also genes'
MOST = 0.5  # fraction of the features above which they are ids of genes


@dataclass(frozen=True)
class Matched:
    """One modality of a model in the user's cells.

    Attributes
    ----------
    theirs
        The user's name of the modality.
    names
        (cells,) of the user.
    matrix
        The matrix that the model reads.
    found
        (features,) which of the model's features are there; others get the train cells' mean.
    columns
        Their positions in the user's matrix.
    facts, held
        The model's description of the modality, and the arrays of its transform.
    """

    theirs: str
    names: pd.Index
    matrix: Matrix
    found: np.ndarray
    columns: np.ndarray
    facts: dict
    held: dict[str, np.ndarray]

    def values(self, rows: np.ndarray) -> np.ndarray:
        """Return the cells at `rows` as in the model's split, (cells, dimensions) float32."""
        x = (self._normalized(rows) - self.held["mean"]) / self.held["std"]
        x = np.clip(x, -10, 10) if self.facts["standardised"] else x
        return x.astype(np.float32, copy=False)

    def _normalized(self, rows: np.ndarray) -> np.ndarray:
        facts, columns = self.facts, self.columns
        taken = sparse.csr_matrix(self.matrix.take(rows), dtype=np.float32)
        if facts["normalization"] == "clr":  # the mean is over proteins of the model only
            taken, columns = taken[:, columns], np.arange(len(columns))
        cells = AnnData(
            obs=pd.DataFrame(index=pd.RangeIndex(taken.shape[0]).astype(str)),
            var=pd.DataFrame(index=pd.RangeIndex(taken.shape[1]).astype(str)),
            layers={facts["values"]: taken},
            uns={"kind": facts["kind"], "values": facts["values"]},
        )
        if facts["normalization"] == "lsi":
            lsi = {name: self.held[name][self.found] for name in ("weight", "loadings", "depth")}
            steps = Lsi(columns=columns, values=facts["transform"], **lsi)
        else:
            kinds = {"lognorm": LogNormalised, "clr": Clr, "continuous": Continuous}
            steps = kinds[facts["normalization"]](columns=columns)
        x = space_values(steps.transform(cells))
        if self.found.all():
            return x
        if facts["normalization"] == "lsi":
            return x + (self.held["usual"] * ~self.found) @ self.held["loadings"]
        filled = np.tile(self.held["mean"], (len(rows), 1))
        filled[:, self.found] = x
        return filled


def matched(
    kept: KeptModel, modalities: dict[str, Measured], *, min_fraction: float = LEAST_FRACTION
) -> dict[str, Matched]:
    """Return the model's modalities that the user's cells have, in the model's order.

    A modality matches the model's of its name, otherwise that of which it has at least
    `min_fraction` and most features. It is left out without a shared feature, or if another has
    that name. Without any match, or with too few of the features, it is refused.
    """
    known, found = kept.facts["modalities"], {}
    theirs_of: dict[str, list[str]] = {}
    for theirs, ours in _names_of_model(modalities, known, min_fraction).items():
        theirs_of.setdefault(ours, []).append(theirs)
    for modality, facts in known.items():
        if modality not in theirs_of:
            continue
        theirs, *others = theirs_of[modality]
        if others:
            raise UserError(
                f"modalities {', '.join([theirs, *others])} all have features of the model's "
                f"{modality!r}; call one of them {modality!r}"
            )
        matrix = holding(theirs, modalities[theirs], facts["values"])
        # as the names of train cells are made unique
        features = make_index_unique(pd.Index(matrix.features.astype(str), dtype=object))
        places = features.get_indexer(pd.Index(facts["features"]))
        there = places >= 0
        if there.mean() < min_fraction or not there.any():
            wanted, given = facts["features"], matrix.features
            hint = _why_few(wanted, given, there.sum(), modalities[theirs].var)
            raise UserError(
                f"modality {theirs!r} has {there.sum()} of the {len(wanted)} features that the "
                f"model reads of {modality!r}, fewer than {min_fraction:.0%} (here: "
                f"{', '.join(given[:NAMES_SHOWN])}, …; the model's: "
                f"{', '.join(wanted[:NAMES_SHOWN])}, …); {hint}"
            )
        _refuse_mixed(theirs, matrix.features, modality, known)
        names = pd.Index(modalities[theirs].obs.index.astype(str))
        if not names.is_unique:
            raise UserError(
                f"modality {theirs!r} names a cell twice, {names[names.duplicated()][0]!r}; "
                "make the names unique"
            )
        prefix = f"{modality}/"
        held = {
            key.removeprefix(prefix): array
            for key, array in kept.split.items()
            if key.startswith(prefix)
        }
        found[modality] = Matched(theirs, names, matrix, there, places[there], facts, held)
    return found


def _names_of_model(
    modalities: dict[str, Measured], known: dict[str, dict], min_fraction: float
) -> dict[str, str]:
    names, similar = {}, {}
    for theirs, measured in modalities.items():
        if theirs in known:
            names[theirs] = theirs
            continue
        features = set(map(str, measured.var.index))
        features.update(*(matrix.features for matrix in measured.matrices.values()))
        likeness = {ours: _likeness(facts, features, min_fraction) for ours, facts in known.items()}
        similar[theirs] = max(likeness, key=likeness.get)
        if features & {*known[similar[theirs]]["features"]} and similar[theirs] not in modalities:
            names[theirs] = similar[theirs]
    return names or dict(list(similar.items())[:1])


def _likeness(facts: dict, features: set[str], min_fraction: float) -> tuple[float, ...]:
    wanted = facts["features"]
    shared = sum(feature in features for feature in wanted)
    are_genes = np.mean([bool(ENSEMBL.match(feature)) for feature in features or [""]]) > MOST
    return (
        shared * (shared >= min_fraction * len(wanted)),
        shared / len(wanted),
        float(are_genes and facts["kind"] == "rna"),
        -abs(np.log(len(wanted) / max(len(features), 1))),
    )


def _refuse_mixed(theirs: str, features: pd.Index, ours: str, known: dict[str, dict]) -> None:
    for other, facts in known.items():
        there = np.isin(facts["features"], features).sum()
        if theirs not in known and other != ours and there >= NEARLY_ALL * len(facts["features"]):
            raise UserError(
                f"modality {theirs!r} has features of the model's {ours!r}, and {there} of the "
                f"{len(facts['features'])} of its {other!r}; give each modality by its name, as "
                f'{{"{ours}": ..., "{other}": ...}}, or name the type of each feature in '
                'var["feature_types"], such as "Gene Expression" and "Antibody Capture"'
            )


def _why_few(wanted: list[str], given: pd.Index, found: int, var: pd.DataFrame) -> str:
    in_columns = {column: np.isin(wanted, var[column].astype(str)).sum() for column in var}
    column = max(in_columns, key=in_columns.get, default=None)
    lower = {name.lower() for name in given}
    anyhow = sum(name.lower() in lower for name in wanted)
    if anyhow > 2 * found and anyhow > len(wanted) / 4:
        return f"{anyhow} match but for capital letters, as genes of another species do"
    if in_columns.get(column, 0) > found:
        return f"var[{column!r}] has {in_columns[column]} of them: set var_names to that column"
    if given.str.match(ENSEMBL).mean() > MOST:
        return "they are Ensembl ids: name them as the model does"
    return "they are of another panel, set of peaks or genome: count the model's features here"
