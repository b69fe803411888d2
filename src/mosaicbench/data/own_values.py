"""Which matrix of own cells holds the values that the stanza asks for, and what else it may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
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
RAW = 'put the raw counts into layers["counts"]'
OR_RAW = f"; or {RAW}"
REMEDIES = {  # fault -> what to do with RNA, and with anything else
    NEGATIVE: [
        f"{LOGNORM}; of scaled values, {AS_IT_IS}{OR_RAW}",
        f"after CLR and the like, {AS_IT_IS}{OR_RAW}",
    ],
    LOGS: [f"{LOGNORM}; {ROUND}{OR_RAW}", f"if they are normalised, {AS_IT_IS}; {ROUND}{OR_RAW}"],
    LARGE: [ROUND + OR_RAW, f"{ROUND}; if they are normalised, {AS_IT_IS}{OR_RAW}"],
    NORMALISED: [LOGARITHM + OR_RAW, AS_IT_IS + OR_RAW],
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
        When no matrix holds what `scale` says: it names the file, and what to do. Missing values are
        left to :func:`refuse_missing`.
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
    found, seen, remedy = {}, [], RAW
    for place in tried:
        matrix, table = places.get(place, (None, None))
        if matrix is None:
            continue
        values, fault = _checked(matrix, scale)
        found.setdefault(fault, (values, table, f"{file}, {place}"))
        if not fault:
            break
        largest = f", the largest {values.data.max():,.1f}" if fault in (LARGE, NORMALISED) else ""
        seen.append(f"{place}: {fault}{largest}")
        remedies = OF_LOGNORM if scale == "lognorm" else REMEDIES
        remedy = remedies.get(fault, [RAW])[0 if kind == "rna" else -1].format(m=modality)
    if chosen := found.get("") or found.get(NAN):
        values, table, source = chosen
        if scale == ROUNDED:
            values = _rounded(values, f"modality {modality!r}: {source}")
        about = {"kind": kind, "values": what, "source": source}
        values = values.astype(np.float32, copy=False)
        return AnnData(values, obs=cells.obs, var=table, uns=about)
    others = [name for name in cells.layers if f'layers["{name}"]' not in tried]
    for name in others:
        if not _checked(cells.layers[name], scale)[1]:
            remedy = f"layers: {{{modality}: {name}}} takes that layer, if it holds all {what}"
    raise UserError(
        f"values: modality {modality!r} holds no {what} (looked at "
        f"{', '.join(seen) or f'{tried[0]}, which there is not'}) in {file}"
        f"{', which also has the layers ' * bool(others)}{', '.join(others)}; {remedy}"
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
    fault, fractional, largest = "", False, 0.0
    for first in range(0, matrix.nnz, BLOCK):
        x = matrix.data[first : first + BLOCK]
        if not np.all(is_number := np.isfinite(x)):
            fault, x = NAN, x[is_number]
        if scale != "continuous" and np.any(x < 0):
            return NEGATIVE
        fractional |= bool(np.any(x != np.round(x)))
        largest = max(largest, float(x.max(initial=0)))
    is_large = largest > LARGEST_LOG
    if scale == "lognorm" and matrix.nnz and not fractional:
        return WHOLE
    if scale == "continuous" or not fractional or (scale == "lognorm" and not is_large):
        return fault
    if _have_one_sum(matrix):
        return NORMALISED
    return fault if scale == ROUNDED else LARGE if is_large else LOGS


def _have_one_sum(matrix: sparse.csr_matrix) -> bool:
    totals = matrix.sum(axis=1, dtype=np.float64).A1
    return len(totals) > 2 and totals.std() < SAME_TOTAL * totals.mean()


def refuse_missing(modality: str, cells: AnnData) -> None:
    """Refuse cells with NaN or infinite values, by their names."""
    if np.isfinite(cells.X.data.sum()):
        return
    wrong = np.flatnonzero(~np.isfinite(cells.X.data))
    rows = np.unique(np.searchsorted(cells.X.indptr, wrong, side="right") - 1)
    listed = ", ".join(cells.obs_names[rows[:3]]) + ", …" * (len(rows) > 3)
    raise UserError(
        f"values: modality {modality!r} holds {NAN} in {len(rows)} of {cells.n_obs} cells ({listed}) of "
        f"{cells.uns['source']}; take these cells out of this file, as a cell need not be in every "
        f"modality, or say absent: {{{modality}: [names of cells or batches]}}"
    )


def _rounded(values: sparse.csr_matrix, where: str) -> sparse.csr_matrix:
    whole = np.rint(values.data)
    moved = np.abs(whole - values.data)
    if moved.any():
        warn(
            f"{where}: {np.sum(moved > 0):,} of {values.nnz:,} values are rounded to counts, by "
            f"{np.nanmean(moved):.3f} on average"
        )
    return sparse.csr_matrix((whole, values.indices, values.indptr), values.shape)
