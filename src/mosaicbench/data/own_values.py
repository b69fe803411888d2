"""Which matrix of own cells holds the values that the stanza asks for, and what else it may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.assemble import BLOCK
from mosaicbench.data.checks import warn
from mosaicbench.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData

ROUNDED = "rounded_counts"  # fractional counts that become whole ones on request
LARGEST_LOG = 13.82  # rounded up: log1p of a million counts; log1p of 10,000 is 9.2
SAME_TOTAL = 1e-3  # relative sd of the cells' sums below which they were normalised

NAN, NEGATIVE, WHOLE = "NaN or infinite values", "negative values", "whole numbers only"
LOGS, LARGE = "fractional values", "fractional values, none a logarithm"
NORMALISED, NO_NUMBERS = "fractional values of one sum per cell", "no numbers"
AS_IT_IS = "kinds: {{{m}: continuous}} takes the values as they are"
ROUND = "values: {{{m}: rounded_counts}} rounds corrected counts (SoupX, CellBender, kallisto)"
LOGNORM = "values: {{{m}: lognorm}} takes log-normalised RNA"
LOGARITHM = f"they were normalised without a logarithm; take log1p of them, and {LOGNORM}"
REMEDIES = {  # fault -> what to do with RNA, and with anything else
    NAN: ["take these cells out of this file, as a cell need not be in every modality"] * 2,
    NEGATIVE: [f"{LOGNORM}; of scaled values, {AS_IT_IS}", f"after CLR and the like, {AS_IT_IS}"],
    LOGS: [f"{LOGNORM}; {ROUND}", f"if they are normalised, {AS_IT_IS}; {ROUND}"],
    LARGE: [ROUND, f"{ROUND}; if they are normalised, {AS_IT_IS}"],
    NORMALISED: [LOGARITHM, AS_IT_IS],
}
OF_LOGNORM = REMEDIES | {
    NEGATIVE: [f"scaled values are no logarithms; {AS_IT_IS}"],
    WHOLE: ["these are counts, for which the key values is not needed"],
    LARGE: [
        "log1p of counts per 10,000 is at most 9.2, per million 13.8; take the logarithm first (log2 x "
        f"0.693 is one); {ROUND}"
    ],
}


def with_values(
    modality: str, cells: AnnData, file: str, *, kind: str, scale: str, layer: str | None
) -> AnnData:
    """Return cells with a modality's values in ``X``, and its kind, values and source in ``uns``.

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

    what = "counts" if scale == ROUNDED else scale
    places = {f'layers["{name}"]': (cells.layers[name], cells.var) for name in cells.layers}
    places |= {"X": (cells.X, cells.var)}
    if cells.raw is not None:
        places["raw.X"] = (cells.raw.X, cells.raw.var)
    tried = [f'layers["{what}"]', "X", "raw.X"]
    if layer is not None:
        tried = [layer if layer in places else f'layers["{layer}"]']
    seen, advice = [], [f"put the raw counts into {tried[0]}"] if what == "counts" else []
    for place in tried:
        matrix, table = places.get(place, (None, None))
        if matrix is None:
            continue
        values, fault = _checked(matrix, scale)
        if not fault:
            if scale == ROUNDED:
                values = _rounded(values, f"modality {modality!r}: {file}, {place}")
            values = values.astype(np.float32, copy=False)
            about = {"kind": kind, "values": what, "source": f"{file}, {place}"}
            return AnnData(values, obs=cells.obs, var=table, uns=about)
        seen.append(f"{place}: {fault}{_detail(fault, values, cells.obs_names)}")
        remedies = OF_LOGNORM if scale == "lognorm" else REMEDIES
        remedy = remedies.get(fault, [""])[0 if kind == "rna" else -1].format(m=modality)
    advice = [remedy, *advice] if seen else advice
    others = [name for name in cells.layers if f'layers["{name}"]' not in tried]
    for name in others:
        if not _checked(cells.layers[name], scale)[1]:
            advice = [f"layers: {{{modality}: {name}}} takes that layer, if it holds all {what}"]
    raise UserError(
        f"values: modality {modality!r} holds no {what} (looked at "
        f"{', '.join(seen) or f'{tried[0]}, which there is not'}) in {file}"
        f"{', which also has the layers ' * bool(others)}{', '.join(others)}; "
        f"{'; or '.join(filter(None, advice))}"
    )


def _checked(matrix: object, scale: str) -> tuple[sparse.csr_matrix | None, str]:
    """Return a matrix in CSR, and why it is not what `scale` says, "" if it is."""
    matrix = matrix if sparse.issparse(matrix) else np.asarray(matrix)
    if matrix.dtype.kind not in "fiub":
        return None, NO_NUMBERS
    native = matrix.dtype.newbyteorder("=")  # scipy has no sparse matrix of another, nor of float16
    matrix = matrix.astype(np.float32 if native == np.float16 else native, copy=False)
    values = sparse.csr_matrix(matrix)
    return values, fault_of(scale, values)


def fault_of(scale: str, matrix: sparse.csr_matrix) -> str:
    """Return why a matrix is not what `scale` says, "" if it is; block by block to save memory."""
    fractional, largest = False, 0.0
    for first in range(0, matrix.nnz, BLOCK):
        x = matrix.data[first : first + BLOCK]
        if not np.all(np.isfinite(x)):
            return NAN
        if scale != "continuous" and np.any(x < 0):
            return NEGATIVE
        fractional |= bool(np.any(x != np.round(x)))
        largest = max(largest, float(x.max()))
    if scale == "continuous":
        return ""
    if not fractional:
        return WHOLE if scale == "lognorm" and matrix.nnz else ""
    if (largest > LARGEST_LOG or scale != "lognorm") and _have_one_sum(matrix):
        return NORMALISED
    if scale == "counts":
        return LARGE if largest > LARGEST_LOG else LOGS
    return LARGE if scale == "lognorm" and largest > LARGEST_LOG else ""


def _have_one_sum(matrix: sparse.csr_matrix) -> bool:
    totals = matrix.sum(axis=1, dtype=np.float64).A1
    return len(totals) > 2 and totals.std() < SAME_TOTAL * totals.mean()


def _detail(fault: str, values: sparse.csr_matrix | None, names: pd.Index) -> str:
    """Return which cells, or how large values, a fault is about."""
    if fault == NAN:
        wrong = np.flatnonzero(~np.isfinite(values.data))
        rows = np.unique(np.searchsorted(values.indptr, wrong, side="right") - 1)
        more = ", …" if len(rows) > 3 else ""
        return f" in {len(rows)} of {len(names)} cells: {', '.join(names[rows[:3]])}{more}"
    return f", the largest {values.data.max():,.1f}" if fault in (LARGE, NORMALISED) else ""


def _rounded(values: sparse.csr_matrix, where: str) -> sparse.csr_matrix:
    whole = np.rint(values.data)
    moved = np.abs(whole - values.data)
    if moved.any():
        warn(
            f"{where}: {np.sum(moved > 0):,} of {values.nnz:,} values are rounded to counts, by "
            f"{moved.mean():.3f} on average"
        )
    return sparse.csr_matrix((whole, values.indices, values.indptr), values.shape)
