"""What every dataset file ends with: measurements of the same cells become one checked MuData."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench import files
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


@dataclass(frozen=True)
class Measurement:
    """One modality of a dataset, as it was measured.

    Attributes
    ----------
    values
        (cells, features) counts, or log-normalised values where a source has no counts; sparse or dense.
    features
        (features,) names; duplicates are made unique.
    kind
        "rna", "atac" or "adt".
    scale
        "counts" or "lognorm": what `values` are.
    """

    values: sparse.sparray | sparse.spmatrix | np.ndarray
    features: Sequence[str]
    kind: str
    scale: str = "counts"


def assembled(
    measured: dict[str, Measurement], *, cells: Sequence[str], cell_type: Sequence[str], batch: Sequence[str]
) -> MuData:
    """Return a dataset of `cells` without the features that are zero in all of them.

    Parameters
    ----------
    measured
        modality -> its measurement, rows in the order of `cells`.
    cells, cell_type, batch
        (cells,) names, labels ("" = unknown) and batches.

    Raises
    ------
    UserError
        When two modalities hold identical numbers: then one file was given twice, and every score would be perfect.
    """
    from anndata import AnnData
    from anndata.utils import make_index_unique

    index = pd.Index([str(name) for name in cells])
    modalities = {}
    for modality, measurement in measured.items():
        values = sparse.csr_matrix(measurement.values, dtype=np.float32)
        values.eliminate_zeros()
        seen = values.getnnz(axis=0) > 0
        names = make_index_unique(pd.Index([str(name) for name in measurement.features]))
        modalities[modality] = AnnData(
            obs=pd.DataFrame(index=index),
            var=pd.DataFrame(index=names[seen]),
            layers={measurement.scale: values[:, np.flatnonzero(seen)]},
            uns={"kind": measurement.kind, "values": measurement.scale},
        )
    _refuse_twins(modalities)
    dataset = joined(modalities)
    dataset.obs["cell_type"] = categorical(cell_type)
    dataset.obs["batch"] = categorical(batch)
    return dataset


def joined(modalities: dict[str, AnnData]) -> MuData:
    """Return a MuData of `modalities` whose own ``obs`` takes no column from theirs."""
    import mudata

    with files.quiet_mudata():
        return mudata.MuData(modalities)


def categorical(names: Sequence[str]) -> pd.Categorical:
    """Return `names` as a categorical that knows no category beyond those which occur."""
    return pd.Categorical([str(name) for name in names])


def source_values(cells: AnnData) -> sparse.csr_matrix:
    """Return a dataset modality's counts or log-normalised values, (cells, features)."""
    return sparse.csr_matrix(cells.layers[cells.uns["values"]])


def check_options(function: Callable, options: dict, where: str) -> None:
    """Refuse keys of `options` that are no keyword of `function`; `where` is the key that they stand under."""
    known = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    if unknown := sorted(set(options) - set(known)):
        raise UserError(f"{where}: unknown option {', '.join(map(repr, unknown))}; there are {', '.join(known) or 'none'}")


def _refuse_twins(modalities: dict[str, AnnData]) -> None:
    for (name, cells), (other_name, other) in combinations(modalities.items(), 2):
        values, other_values = source_values(cells), source_values(other)
        if values.shape == other_values.shape and (values != other_values).nnz == 0:
            raise UserError(
                f"modalities {name!r} and {other_name!r} hold identical numbers, so the same file was given twice; "
                "give each modality its own file"
            )
