"""Which matrix of own cells holds the values that the stanza asks for, and what else it may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import BLOCK
from mosaicbench.data.checks import warn
from mosaicbench.errors import UserError, nearest

if TYPE_CHECKING:
    from anndata import AnnData

ROUNDED = "rounded_counts"  # fractional counts that become whole ones on request
LARGEST_LOG = 13.82  # rounded up: log1p of a million counts; log1p of 10,000 is 9.2
SAME_TOTAL = 1e-3  # relative sd of the cells' sums below which they were normalised
NAN, NEGATIVE, FRACTIONAL = "NaN or infinite values", "negative values", "fractional values"
WHOLE, LARGE, NO_NUMBERS = "whole numbers only", "values no logarithm reaches", "no numbers"

LEAVE_OUT = "take these cells out of this file, as a cell need not be in every modality"
AS_IT_IS = "kinds: {{{m}: continuous}} takes the values as they are"
ROUND = f"values: {{{{{{m}}: {ROUNDED}}}}} rounds corrected counts (of SoupX, CellBender, kallisto)"
LOGNORM = "values: {{{m}: lognorm}} takes log-normalised RNA"
REMEDIES = {  # scale, fault and kind, "" for any other -> what to do
    ("counts", NEGATIVE, "rna"): f"{LOGNORM}, and {AS_IT_IS} if they are scaled",
    ("counts", NEGATIVE, ""): f"after CLR or another transform, {AS_IT_IS}",
    ("counts", FRACTIONAL, "rna"): f"{LOGNORM}; {ROUND}",
    ("counts", FRACTIONAL, ""): f"{ROUND}; if they are normalised, {AS_IT_IS}",
    ("lognorm", NEGATIVE, ""): f"scaled values are no logarithms; {AS_IT_IS}",
    ("lognorm", WHOLE, ""): "these look like counts, for which the key values is not needed",
    ("lognorm", LARGE, ""): "log1p of counts per 10,000 is at most 9.2, per million 13.8; take the "
    f"logarithm first (log2 x 0.693 is one); {ROUND}",
}


def with_values(
    modality: str, cells: AnnData, file: str, *, kind: str, scale: str, layer: str | None
) -> tuple[AnnData, str]:
    """Return cells with the values of a modality in ``X``, and the file and matrix they are from.

    Parameters
    ----------
    modality, kind
        Its name and kind.
    cells
        One file's cells x features; ``layers[scale]``, ``X`` and ``raw.X`` are looked at in turn.
    file
        Its name, for messages.
    scale
        "counts", "rounded_counts", "lognorm" or "continuous".
    layer
        The only layer to look at ("X" and "raw.X" are possible, too), or None.

    Raises
    ------
    UserError
        When no matrix holds what `scale` says: it names the file, the cells, and what to do.
    """
    from anndata import AnnData

    wanted = "counts" if scale == ROUNDED else scale
    places = {f'layers["{name}"]': (cells.layers[name], cells.var) for name in cells.layers}
    places |= {"X": (cells.X, cells.var)}
    if cells.raw is not None:
        places["raw.X"] = (cells.raw.X, cells.raw.var)
    places = {place: held for place, held in places.items() if held[0] is not None}
    tried = [f'layers["{wanted}"]', "X", "raw.X"]
    if layer is not None:
        tried = [layer if layer in places else f'layers["{layer}"]']
        if tried[0] not in places:
            raise UserError(f"layers.{modality}: {file} has no {layer!r}{nearest(layer, places)}")
    faults = {}
    for place in [place for place in tried if place in places]:
        matrix, table = places[place]
        values, fault = _checked(matrix, scale)
        if not fault:
            if scale == ROUNDED:
                values = _rounded(values, f"modality {modality!r}: {file}, {place}")
            values = values.astype(np.float32, copy=False)
            return AnnData(values, obs=cells.obs, var=table), f"{file}, {place}"
        faults[place] = fault + _detail(fault, values, cells.obs_names)
    seen = ", ".join(f"{place}: {fault}" for place, fault in faults.items())
    what = "continuous values" if scale == "continuous" else wanted
    others = [place for place in places if place not in tried]
    advice = [f"put the raw counts into {tried[0]}"] if wanted == "counts" else []
    if faults:
        advice = [_remedy(modality, kind, wanted, fault), *advice]
    if layer is None:
        names = [name for name in cells.layers if not _checked(cells.layers[name], scale)[1]]
        fitting = [name for name in names if f'layers["{name}"]' in others]
        advice = [
            f"say layers: {{{modality}: {name}}}, which has {what}" for name in fitting
        ] or advice
    raise UserError(
        f"values: modality {modality!r} holds no {what} (looked at {seen or 'no matrix at all'}) in "
        f"{file}{_listed(others)}; {'; or '.join(filter(None, advice))}"
    )


def _listed(places: list[str]) -> str:
    return f", which also has {', '.join(places)}" if places else ""


def _remedy(modality: str, kind: str, scale: str, fault: str) -> str:
    if fault == NAN:
        return LEAVE_OUT
    found = REMEDIES.get((scale, fault, kind)) or REMEDIES.get((scale, fault, ""), "")
    return found.format(m=modality)


def _checked(matrix: object, scale: str) -> tuple[sparse.csr_matrix | None, str]:
    """Return a matrix in CSR, and why it is not what `scale` says, "" if it is."""
    if not sparse.issparse(matrix):
        matrix = np.asarray(matrix)
    if matrix.dtype.kind not in "fiub":
        try:
            matrix = matrix.astype(np.float32) if matrix.dtype.kind != "c" else None
        except (TypeError, ValueError):
            matrix = None
        if matrix is None:
            return None, NO_NUMBERS
    if matrix.dtype == np.float16:  # scipy has no sparse matrix of it
        matrix = matrix.astype(np.float32)
    values = sparse.csr_matrix(matrix)
    return values, _fault(scale, values)


def _fault(scale: str, matrix: sparse.csr_matrix) -> str:
    """Return why a matrix is not what `scale` says, "" if it is; block by block to save memory."""
    fractional, largest = False, 0.0
    for first in range(0, matrix.nnz, BLOCK):
        x = matrix.data[first : first + BLOCK]
        if not np.all(np.isfinite(x)):
            return NAN
        if scale != "continuous" and np.any(x < 0):
            return NEGATIVE
        fractional |= bool(np.any(x != np.round(x)))
        if scale == "counts" and fractional:
            return FRACTIONAL
        largest = max(largest, float(x.max()))
    if scale == "lognorm":
        return WHOLE if not fractional else LARGE if largest > LARGEST_LOG else ""
    return FRACTIONAL if scale == ROUNDED and fractional and _total(matrix) else ""


def _total(matrix: sparse.csr_matrix) -> float:
    """Return the sum of every cell if they have the same one, 0 if they differ."""
    totals = matrix.sum(axis=1, dtype=np.float64).A1
    return totals.mean() if len(totals) > 2 and totals.std() < SAME_TOTAL * totals.mean() else 0


def _detail(fault: str, values: sparse.csr_matrix | None, names: pd.Index) -> str:
    """Return which cells, or how large values, a fault is about."""
    if fault == NAN:
        wrong = np.flatnonzero(~np.isfinite(values.data))
        rows = np.unique(np.searchsorted(values.indptr, wrong, side="right") - 1)
        more = ", …" if len(rows) > 3 else ""
        return f" in {len(rows)} of {len(names)} cells: {', '.join(names[rows[:3]])}{more}"
    if fault not in (FRACTIONAL, LARGE):
        return ""
    total = _total(values)
    normalised = f", each cell with the sum {total:,.0f}, so normalised without a logarithm"
    return f" up to {values.data.max():,.1f}{normalised if total else ''}"


def _rounded(values: sparse.csr_matrix, where: str) -> sparse.csr_matrix:
    whole = values.copy()
    whole.data = np.rint(values.data)
    moved = int(np.sum(whole.data != values.data))
    if moved:
        warn(
            f"{where}: {moved:,} of {values.nnz:,} values are rounded to counts, by "
            f"{np.abs(whole.data - values.data).mean():.3f} on average, "
            f"{int(np.sum((whole.data == 0) & (values.data > 0))):,} of them to 0"
        )
    return whole
