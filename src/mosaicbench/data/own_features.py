"""Which features of own cells are measurements: hashtags, guides, totals and the like are left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mosaicbench.data import read
from mosaicbench.data.antibodies import is_isotype
from mosaicbench.data.assemble import ANNOTATION
from mosaicbench.data.checks import MOST, listed, warn
from mosaicbench.errors import UserError, nearest

if TYPE_CHECKING:
    from anndata import AnnData

NO_FEATURES = {  # what is no gene and no protein -> its names
    "hashtags": r"(?i)hash[\W_]?tag|(?<![a-z])(hash|hto)(?![a-z])|(?<![a-z])cmo[\W_]*\d|sample[\W_]?tag",
    "guides": r"^sg(RNA|[\dA-Z_-])|(?i:grna|non[\W_]?targeting)",
    "unmapped reads": r"(?i)^_*(un(mapped|assigned|aligned)|no_(match|feature)|ambiguous|bad_struct)",
    "totals and quality columns": r"(?i)^(n_?(counts?|genes?|features?|umis?|reads?)([\W_].*)?"
    r"|total([\W_](counts?|reads?|umis?|genes?)([\W_].*)?)?|(pct|percent|log1p)[\W_].+"
    r"|doublet[\W_]?scores?|(s|g2m)[._]score|(seurat[\W_])?clusters?|leiden|louvain"
    r"|batch|donor|sample|cell[\W_]?types?)$",
}
GENOME = r"^(GRC[a-z]\d+|hg\d+|mm\d+|rn\d+)_+(?=\w)"  # as in GRCh38_CD4, mm10___Cd4
DROP = "features.drop"  # the key as a reason
ALIASES = {
    "chr": "chrom",
    "seqnames": "chrom",
    "chromStart": "start",
    "chromEnd": "end",
    "gene_id": "gene_ids",
}


def no_feature(name: str) -> str:
    """Return what a feature is called like that is no gene and no protein, such as "hashtags", or ""."""
    return next((reason for reason, pattern in NO_FEATURES.items() if re.search(pattern, name)), "")


def without_others(
    modality: str, cells: AnnData, kind: str, asked: dict[str, Sequence[str]]
) -> tuple[AnnData, dict[str, int]]:
    """Return the cells with features that are measurements, and reason -> number left out.

    Parameters
    ----------
    modality, kind
        Its name and kind.
    cells
        Cells x features, of one genome or of several.
    asked
        "drop" and "keep" -> names or patterns with "*" of features that are left out, or stay.

    Raises
    ------
    UserError
        When a name or pattern fits no feature, or no feature is left.
    """
    names = pd.Index(cells.var_names.astype(str))
    reasons = pd.Series("", index=names, dtype=object)
    if kind != "atac":
        reasons[:] = [no_feature(name) for name in names]
    reasons[_named(modality, "keep", asked, names)] = ""
    reasons[_named(modality, "drop", asked, names)] = DROP
    left_out = reasons[reasons != ""].value_counts(sort=False).to_dict()
    if len(names) and not (reasons == "").any():
        why = ", ".join(f"{number} {reason}" for reason, number in left_out.items())
        raise UserError(
            f"features: nothing is left of modality {modality!r} ({why}: {listed(names)}); give the file "
            f"of its proteins or genes, leave the modality out, or keep some by features: "
            f"{{{modality}: {{keep: [NAME]}}}}"
        )
    for reason, number in left_out.items():
        if reason != DROP:
            warn(
                f"modality {modality!r}: {number} {reason} are left out "
                f"({listed(names[reasons == reason])}); features: {{{modality}: {{keep: [NAME]}}}} keeps "
                "a feature that is measured"
            )
    if left_out:
        cells = cells[:, (reasons == "").to_numpy()].copy()
    controls = [name for name in cells.var_names if is_isotype(name)]
    if controls and "adt" in (kind, read.KINDS.get(modality.lower())):
        warn(
            f"modality {modality!r}: {len(controls)} of its features are isotype controls, which bind no "
            f"target and are scored like proteins; features: {{{modality}: {{drop: {controls}}}}} leaves "
            "them out"
        )
    return (_without_genome(modality, cells) if kind == "rna" else cells), left_out


def _named(modality: str, key: str, asked: dict[str, Sequence[str]], names: pd.Index) -> np.ndarray:
    chosen = np.zeros(len(names), dtype=bool)
    for pattern in map(str, asked.get(key, ())):
        fits = np.array([name == pattern or fnmatchcase(name, pattern) for name in names], bool)
        if not fits.any():
            raise UserError(
                f"features.{modality}.{key}: no feature is called {pattern!r}"
                f"{nearest(pattern, names) if len(names) <= 60 else ''}"
            )
        chosen |= fits
    return chosen


def _without_genome(modality: str, cells: AnnData) -> AnnData:
    names = pd.Index(cells.var_names.astype(str))
    genomes = names.str.extract(GENOME, expand=False)
    counts = genomes.value_counts()
    if counts.sum() <= MOST * len(names):
        return cells
    bare_names = names.str.replace(GENOME, "", regex=True)
    listed = ", ".join(f"{genome} ({number})" for genome, number in counts.items())
    species = (
        "; cells may be of several species, of which those of one are best taken out of all files, and "
        f"features: {{{modality}: {{drop: ['{counts.index[-1]}_*']}}}} leaves its genes out"
    )
    warn(
        f"modality {modality!r}: gene names begin with a genome, {listed}, which is taken off where they "
        f"stay unique{species * (len(counts) > 1)}"
    )
    cells.var_names = np.where(bare_names.duplicated(keep=False), names, bare_names)
    if "gene_ids" in cells.var:
        ids = cells.var["gene_ids"].astype(str)
        cells.var["gene_ids"] = ids.str.replace(GENOME, "", regex=True)
    return cells


def annotation(var: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of ``var`` that a dataset keeps, under their names here."""
    ours = {theirs: name for theirs, name in ALIASES.items() if name not in var}
    table = var.rename(columns=ours)
    if "chrom" not in table and "interval" in table:
        table = read.with_coordinates(table, table["interval"])
    table = table[[column for column in ANNOTATION if column in table]].copy()
    for column in table:
        if column in ("start", "end"):
            numbers = pd.to_numeric(table[column], errors="coerce")
            table[column] = numbers.fillna(-1).astype(np.int64)
        else:
            texts = table[column].astype(object)
            table[column] = texts.where(texts.notna(), "").astype(str)
    return table
