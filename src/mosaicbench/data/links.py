"""Links: which feature of one modality belongs to which gene, and the gene activity from them.

A dataset and every part of a split hold them in ``varp["links"]`` of the MuData: features x features
over all modalities in order, symmetric, 1 or -1 where linked (negative: the more of one, the less
of the other).

- Peak to gene: the peak overlaps the gene's body or the 2,000 bases upstream of its start, on the
  gene's strand. Of Cell Ranger ARC's intervals, which span a gene's start sites without strand, the
  same distance on both sides counts. Start and end are half-open, as in BED.
- Protein to gene: ``antibody_targets.tsv`` has a line per target with its names and the genes that
  make the epitope. Clones of one target ("CD4-1", "CD4-2") share its line, isotype controls have
  none. A protein called like a gene of the dataset is linked to it.
- Or the user's table with the columns `modality modality sign`.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from mosaicbench.data.antibodies import bare, is_isotype, target_genes
from mosaicbench.data.assemble import rewrapped
from mosaicbench.data.checks import warn
from mosaicbench.data.read import coordinates, opened, text_table
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import LINKS, feature_offsets, links_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

PLACE = ["chrom", "start", "end"]
Links = tuple[np.ndarray, np.ndarray, np.ndarray]  # positions in first, in second, signs


def linked(
    dataset: MuData, *, table: Path | None = None, gtf: Path | None = None, upstream: int = 2000
) -> MuData:
    """Return the dataset with links in ``varp["links"]``, and their origins in ``uns["links"]``.

    Parameters
    ----------
    dataset
        Modalities with ``uns["kind"]`` and, where known, ``var`` columns chrom, start, end, strand,
        gene_ids; returned itself where nothing can be linked.
    table
        The user's links; nothing else is linked then.
    gtf
        Gene annotation, instead of the gene coordinates of the dataset.
    upstream
        Bases before a gene's start that still count as the gene.
    """
    if table is not None:
        pair, links = user_links(table, dataset)
        return with_links(dataset, {pair: (links, f"table {table.name}")})
    links_of = {}
    kinds = {modality: cells.uns["kind"] for modality, cells in dataset.mod.items()}
    for rna in (modality for modality, kind in kinds.items() if kind == "rna"):
        for modality, kind in kinds.items():
            if kind == "adt":
                links = protein_links(dataset[modality].var_names, dataset[rna].var_names)
                origin = f"antibody targets and names, {len(set(links[1]))} proteins"
            elif kind == "atac" and (genes := _gene_coordinates(dataset[rna], gtf)) is not None:
                links = peak_links(genes, peak_coordinates(dataset[modality]), upstream=upstream)
                origin = _origin(genes, gtf, upstream)
            else:
                continue
            if len(links[0]):
                links_of[rna, modality] = links, origin
    return with_links(dataset, links_of) if links_of else dataset


def with_links(dataset: MuData, links_of: dict[tuple[str, str], tuple[Links, str]]) -> MuData:
    """Return the dataset with these links instead of any others.

    Parameters
    ----------
    dataset
        Any modalities.
    links_of
        (first, second modality) -> ((positions in first, positions in second, signs), origin).
    """
    start = feature_offsets(dataset)
    rows = np.concatenate([links[0] + start[first] for (first, _), (links, _) in links_of.items()])
    columns = np.concatenate(
        [links[1] + start[other] for (_, other), (links, _) in links_of.items()]
    )
    signs = np.concatenate([links[2] for links, _ in links_of.values()]).astype(np.int8)
    linked_set = _with_half(dataset, rows, columns, signs)
    linked_set.uns[LINKS] = {"-".join(pair): origin for pair, (_, origin) in links_of.items()}
    return linked_set


def _with_half(dataset: MuData, rows: np.ndarray, columns: np.ndarray, signs: np.ndarray) -> MuData:
    half = sparse.csr_matrix((signs, (rows, columns)), shape=(dataset.n_vars, dataset.n_vars))
    changed = rewrapped(dataset)
    changed.varp[LINKS] = sparse.csr_matrix(half + half.T)
    return changed


def restricted(whole: MuData, part: MuData) -> sparse.csr_matrix | None:
    """Return the links of `whole` among the features of `part`, in its order; None without links."""
    if LINKS not in whole.varp:
        return None
    start = feature_offsets(whole)
    kept = np.concatenate(
        [start[m] + whole[m].var_names.get_indexer(part[m].var_names) for m in part.mod]
    )
    return sparse.csr_matrix(sparse.csr_matrix(whole.varp[LINKS])[kept][:, kept])


def corrupted(
    whole: MuData, fraction: float, chosen: dict[str, Sequence[str]], rng: np.random.Generator
) -> MuData:
    """Return the dataset with a fraction of its links replaced by wrong ones.

    A link keeps its sign and one end, the protein or the peak, and gets another gene, drawn from those
    chosen, with which that end is not linked.

    Parameters
    ----------
    whole
        A dataset with links.
    fraction
        Of the links of chosen features, between 0 and 1, for each pair of modalities.
    chosen
        modality -> names of the features to draw from; only their links are replaced.
    rng
        Draws which links, and what they become.

    Raises
    ------
    UserError
        When the dataset has no links, or no wrong link is left.
    """
    if LINKS not in whole.varp:
        raise UserError(
            "corrupted_links: the dataset has no links; give it some (config/README.md), or leave "
            "the key out"
        )
    start, parts = feature_offsets(whole), []
    for first, second in combinations(whole.mod, 2):
        drawn, other = (second, first) if whole[second].uns["kind"] == "rna" else (first, second)
        links = links_between(whole, drawn, other).tocoo()
        among = np.flatnonzero(whole[drawn].var_names.isin(chosen[drawn]))
        rows = _partly_wrong(links, among, fraction, rng)
        parts.append((rows + start[drawn], links.col + start[other], links.data))
    return _with_half(whole, *map(np.concatenate, zip(*parts, strict=True)))


def _partly_wrong(
    links: sparse.coo_matrix, among: np.ndarray, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    rows, columns = links.row.astype(np.int64), links.col
    taken = set(zip(rows.tolist(), columns.tolist(), strict=True))
    candidates = np.flatnonzero(np.isin(rows, among))
    for link in rng.permutation(candidates)[: round(fraction * len(candidates))]:
        wrong = next(
            (row for row in rng.permutation(among).tolist() if (row, columns[link]) not in taken),
            None,
        )
        if wrong is None:
            raise UserError(
                "corrupted_links: a feature is linked with every chosen one, no wrong link is "
                "left; lower the fraction"
            )
        taken.add((wrong, columns[link]))
        rows[link] = wrong
    return rows


def gene_activity(counts: sparse.csr_matrix, links: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return the signed sum of the counts in the peaks linked to each gene, (cells, genes) float32.

    Parameters
    ----------
    counts
        (cells, peaks).
    links
        (genes, peaks), as :func:`.files.links_between` returns them.
    """
    return sparse.csr_matrix(counts @ links.T.astype(np.float32), dtype=np.float32)


def peak_links(genes: pd.DataFrame, peaks: pd.DataFrame, *, upstream: int = 2000) -> Links:
    """Return positions of genes and of the peaks that overlap them, and the sign 1 of each link.

    Parameters
    ----------
    genes, peaks
        One row per feature with chrom, start, end (half-open; "" or -1 where unknown); genes may
        have a strand, "+" or "-". A gene without strand is widened by `upstream` on both sides.
    upstream
        Bases before the start, on the gene's strand.
    """
    import bioframe

    strand = genes["strand"].to_numpy() if "strand" in genes else np.full(len(genes), "")
    starts = genes["start"].to_numpy() - np.where(strand == "-", 0, upstream)
    ends = genes["end"].to_numpy() + np.where(strand == "+", 0, upstream)
    near = _placed(genes)
    near = near.assign(start=starts[near.index], end=ends[near.index])
    pairs = bioframe.overlap(
        near, _placed(peaks), how="inner", return_input=False, return_index=True
    )
    rows, columns = (pairs[side].to_numpy(dtype=np.int64) for side in ("index", "index_"))
    return rows, columns, np.ones(len(rows), dtype=np.int8)


def _placed(features: pd.DataFrame) -> pd.DataFrame:
    table = features.reset_index(drop=True)[["chrom", "start", "end"]]
    table = table.assign(chrom=table["chrom"].astype(str).str.removeprefix("chr"))
    return table[(table["chrom"] != "") & (table["start"] >= 0)]


def protein_links(proteins: Sequence[str], genes: Sequence[str]) -> Links:
    """Return positions of genes, of the proteins that they encode, and the sign 1 of each link."""
    position = {str(gene): row for row, gene in enumerate(genes)}
    position = {gene.upper(): row for gene, row in position.items()} | position
    rows, columns = [], []
    for column, protein in enumerate(proteins):
        for gene in target_genes(protein) or (bare(protein).upper(),):
            if gene.upper() in position and not is_isotype(protein):
                rows.append(position[gene] if gene in position else position[gene.upper()])
                columns.append(column)
    signs = np.ones(len(rows), dtype=np.int8)
    return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64), signs


def user_links(path: Path, dataset: MuData) -> tuple[tuple[str, str], Links]:
    """Read a table of links.

    Its header has two modalities of the dataset and "sign"; each line feature, feature, 1 or -1.

    Raises
    ------
    UserError
        When the header or a sign is something else, or no line names two features of the dataset.
    """
    table = text_table(path, sep="\t")
    columns = list(table.columns)
    if len(columns) != 3 or columns[2] != "sign" or not set(columns[:2]) <= set(dataset.mod):
        raise UserError(
            f"links: {path} has the columns {', '.join(columns)}; expected two of "
            f"{', '.join(dataset.mod)}, and sign"
        )
    signs = pd.to_numeric(table["sign"], errors="coerce").to_numpy()
    wrong = ~np.isin(signs, [-1, 1])
    if wrong.any():
        raise UserError(
            f"links: {path}: sign must be 1 or -1, found {table['sign'][wrong].iloc[0]!r}"
        )
    first, second = (
        dataset[modality].var_names.get_indexer(table[modality]) for modality in columns[:2]
    )
    known = (first >= 0) & (second >= 0) & ~table.duplicated(columns[:2]).to_numpy()
    if not known.any():
        named = ", ".join(table.columns[:2] + ": " + table.iloc[0, :2]) if len(table) else "nothing"
        raise UserError(f"links: no line of {path} names two features of the dataset ({named}, …)")
    if known.mean() < 0.5:
        warn(
            f"links: only {known.sum()} of {len(table)} lines of {path} name two features of the "
            "dataset; check that its names are those of the dataset"
        )
    return (columns[0], columns[1]), (first[known], second[known], signs[known].astype(np.int8))


def read_gtf(path: str | Path) -> pd.DataFrame:
    """Read the genes of a GTF file (Ensembl, GENCODE, or .gz): chrom, start, end, strand, id, name.

    Start and end are half-open.
    """
    genes = opened(path, _gtf_genes)
    if genes.empty:
        raise UserError(
            f"gtf: {path} has no line of the type 'gene'; give an Ensembl or GENCODE annotation"
        )
    return genes


def peak_coordinates(cells: AnnData) -> pd.DataFrame:
    """Return chrom, start, end of the peaks, from ``var`` or from their names ("chr1:10-20")."""
    if set(PLACE) <= set(cells.var):
        return cells.var[PLACE].reset_index(drop=True)
    return coordinates(cells.var_names)


def _gene_coordinates(cells: AnnData, gtf: Path | None) -> pd.DataFrame | None:
    if gtf is not None:
        return _looked_up(cells, read_gtf(gtf), gtf)
    if not set(PLACE) <= set(cells.var):
        return None
    return cells.var[PLACE + ["strand"] * ("strand" in cells.var)].reset_index(drop=True)


def _looked_up(cells: AnnData, genes: pd.DataFrame, gtf: Path) -> pd.DataFrame:
    ids = cells.var["gene_ids"] if "gene_ids" in cells.var else cells.var_names.to_series()
    ids = ids.astype(str).str.replace(r"\.\d+$", "", regex=True)
    by_id, by_name = (
        genes.drop_duplicates(key)
        .set_index(key)[[*PLACE, "strand"]]
        .reindex(names)
        .reset_index(drop=True)
        for key, names in (("id", ids), ("name", cells.var_names))
    )
    places = by_id.where(by_id["chrom"].notna(), by_name)
    placed = int(places["chrom"].notna().sum())
    if placed < 0.5 * len(places):
        warn(
            f"gtf: only {placed} of {len(places)} genes are in {gtf}; is it the annotation that the "
            "genes were counted with?"
        )
    places = places.fillna({"chrom": "", "start": -1, "end": -1, "strand": ""})
    return places.astype({"start": np.int64, "end": np.int64})


def _gtf_genes(file: Path) -> pd.DataFrame:
    columns = {"chrom": str, "type": str, "start": int, "end": int, "strand": str, "about": str}
    blocks = pd.read_csv(
        file,
        sep="\t",
        comment="#",
        header=None,
        usecols=[0, 2, 3, 4, 6, 8],
        names=list(columns),
        dtype=columns,
        chunksize=200_000,
    )
    genes = pd.concat([block[block["type"] == "gene"] for block in blocks], ignore_index=True)
    identifier = genes["about"].str.extract(r'gene_id "([^"]+)"', expand=False)
    name = genes["about"].str.extract(r'gene_name "([^"]+)"', expand=False)
    return genes[["chrom", "start", "end", "strand"]].assign(
        start=genes["start"] - 1,
        id=identifier.str.replace(r"\.\d+$", "", regex=True),
        name=name.fillna(identifier),
    )


def _origin(genes: pd.DataFrame, gtf: Path | None, upstream: int) -> str:
    if gtf is not None:
        return f"overlap with gene body and {upstream} bases upstream, {gtf.name}"
    what = (
        "gene body and {} bases upstream"
        if "strand" in genes
        else "span of start sites and {} bases on both sides"
    )
    return f"overlap with {what.format(upstream)}, coordinates of the data"
