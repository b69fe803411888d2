"""Links between features: where they come from, that they stay with their features, and the activity that follows."""

import gzip
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from mosaicbench_splits import cut
from numpy.random import default_rng
from numpy.testing import assert_array_equal

from mosaicbench.data import antibodies, embedded, links
from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.data.labels_qc import curated
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import links_between, read_dataset, write_dataset
from mosaicbench.files.splits import as_split, standardised_values


def places(rows, columns=("chrom", "start", "end", "strand")):
    return pd.DataFrame(rows, columns=list(columns[: len(rows[0])]))


def brute_force(genes, peaks, upstream):
    """Return the set of linked (gene, peak), by looking at every pair."""
    found = set()
    for g, gene in genes.iterrows():
        strand = gene.get("strand", "")
        first = gene["start"] - (0 if strand == "-" else upstream)
        last = gene["end"] + (0 if strand == "+" else upstream)
        for p, peak in peaks.iterrows():
            if (
                gene["chrom"] == peak["chrom"] != ""
                and gene["start"] >= 0
                and peak["start"] < last
                and peak["end"] > first
            ):
                found.add((g, p))
    return found


# --- peak to gene --------------------------------------------------------------------------------------------------------


def test_promoters_lie_upstream_on_the_strand():
    genes = places(
        [
            ("chr1", 10_000, 20_000, "+"),
            ("chr1", 10_000, 20_000, "-"),
            ("chr2", 10_000, 20_000, "+"),
        ]
    )
    peaks = places(
        [
            ("chr1", 7_900, 8_001),
            ("chr1", 7_900, 8_000),
            ("chr1", 21_999, 22_100),
            ("chr1", 22_000, 22_100),
        ]
    )
    rows, columns, signs = links.peak_links(genes, peaks)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {(0, 0), (1, 2)}
    assert set(signs) == {1}
    rows, columns, _ = links.peak_links(genes, peaks, upstream=0)
    assert len(rows) == 0


def test_names_of_chromosomes_need_not_be_of_one_school():
    genes = places([("1", 10_000, 20_000, "+"), ("", -1, -1, "")])
    assert (
        len(
            links.peak_links(
                genes, places([("chr1", 10_500, 10_600), ("chr11", 10_500, 10_600), ("", -1, -1)])
            )[0]
        )
        == 1
    )


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_are_those_of_every_pair(seed):
    rng = default_rng(seed)

    def random(n, longest):
        starts = rng.integers(0, 3000, n)
        table = places([("chr1", 0, 1)] * n).assign(
            start=starts, end=starts + rng.integers(1, longest, n)
        )
        table["chrom"] = rng.choice(["chr1", "chr2", ""], n)
        table.loc[table["chrom"] == "", ["start", "end"]] = -1
        return table

    genes, peaks = random(40, 900).assign(strand=rng.choice(["+", "-", ""], 40)), random(200, 60)
    rows, columns, _ = links.peak_links(genes, peaks, upstream=100)
    found = list(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(found) == len(set(found)) > 0
    assert set(found) == brute_force(genes, peaks, 100)


# --- protein to gene -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protein", "genes"),
    [
        ("CD3_TotalSeqB", ("CD3D", "CD3E", "CD3G")),
        ("CD4-1", ("CD4",)),  # not CD41
        ("CD3-1", ("CD3D", "CD3E", "CD3G")),  # not CD31
        ("CD41", ("ITGA2B",)),
        ("CD4-2", ("CD4",)),
        ("PD-1_TotalSeqB", ("PDCD1",)),
        ("CD3-CTCATTGTAACTCCT", ("CD3D", "CD3E", "CD3G")),  # of CITE-seq-Count
        ("adt_CD4", ("CD4",)),
        ("prot:CD8a", ("CD8A",)),
        ("CD8a", ("CD8A",)),
        ("HLA.DR", ("HLA-DRA", "HLA-DRB1", "HLA-DRB5")),
        ("TCR-1", ("TRDC", "TRGC1", "TRGC2")),
        ("TCR-2", ("TRAC", "TRBC1", "TRBC2")),
        ("CD307c/FcRL3", ("FCRL3",)),
        ("CD127 (IL-7Rα)", ("IL7R",)),
        ("Notch-2", ("NOTCH2",)),
        ("CD45RA", ("PTPRC",)),
        ("nonsense", ()),
    ],
)
def test_names_find_their_targets(protein, genes):
    assert antibodies.target_genes(protein) == genes


@pytest.mark.parametrize(
    "name",
    [
        "IgG1_control_TotalSeqC",
        "Rat-IgG1-1",
        "Rag-IgG2c",
        "IgG1.K.Isotype.Control",
        "Mouse IgG2a, κ isotype Ctrl",
        "Rat-IgG2b",
        "IgG2aKiso",
    ],
)
def test_isotype_controls_have_no_target(name):
    assert antibodies.is_isotype(name)
    assert antibodies.target_genes(name) == ()
    assert len(links.protein_links([name], ["IGHG1", "CD4", name.upper()])[0]) == 0


@pytest.mark.parametrize(
    ("dataset", "proteins", "controls"),
    [("pbmc10k_citeseq", 14, 0), ("teaseq_small", 46, 1), ("bmmc_cite_small", 134, 0)],
)
def test_panels_in_use_are_covered(dataset, proteins, controls, published):
    if dataset == "pbmc10k_citeseq":
        names = list(
            pd.read_csv(published(dataset) / "pbmc10k_harmo_pro.csv.gz", index_col=0).index
        )
    else:
        names = list(embedded.load(dataset)["adt"].var_names)
    assert len(names) == proteins
    assert sum(map(antibodies.is_isotype, names)) == controls
    assert sum(bool(antibodies.target_genes(name)) for name in names) == proteins - controls


# --- in a dataset and in its splits ---------------------------------------------------------------------------------------


@pytest.fixture
def trimodal():
    """Return 60 cells with genes, peaks and proteins that have known links."""
    rng = default_rng(0)
    genes = places(
        [("chr1", 10_000 * (i + 1), 10_000 * (i + 1) + 3000, "+-"[i % 2]) for i in range(12)]
    )
    peaks = [f"chr1:{5_000 * (i + 1) + 100}-{5_000 * (i + 1) + 600}" for i in range(24)]
    gene_names = ["CD3D", "CD3E", "CD4", *(f"G{i}" for i in range(8)), "MS4A1"]
    measured = {
        "rna": Measurement(rng.poisson(2, (60, 12)) + 1, gene_names, "rna", annotation=genes),
        "atac": Measurement(rng.poisson(1, (60, 24)), peaks, "atac"),
        "adt": Measurement(
            rng.poisson(9, (60, 4)) + 1, ["CD3", "CD4", "CD20", "IgG1_control"], "adt"
        ),
    }
    cells = [f"cell{i}" for i in range(60)]
    return assembled(measured, cells=cells, cell_type=["a", "b", "c"] * 20, batch=["x", "y"] * 30)


def linked_names(part, first, second):
    matrix = links_between(part, first, second).tocoo()
    return {
        (part[first].var_names[r], part[second].var_names[c], v)
        for r, c, v in zip(matrix.row, matrix.col, matrix.data, strict=True)
    }


def test_links_survive_the_disk_and_tell_their_origin(trimodal, tmp_path):
    dataset = curated(trimodal)
    assert not trimodal.varp
    assert not trimodal.uns
    expected = {("CD3D", "CD3", 1), ("CD3E", "CD3", 1), ("CD4", "CD4", 1), ("MS4A1", "CD20", 1)}
    assert linked_names(dataset, "rna", "adt") == expected
    dataset.uns.pop("curation")
    dataset.uns[KEY] = {"noun": "dataset", "dataset": "d"}
    write_dataset(tmp_path / "d.h5mu", dataset)
    again = read_dataset(tmp_path / "d.h5mu")
    assert linked_names(again, "rna", "adt") == expected
    assert linked_names(again, "rna", "atac") == linked_names(dataset, "rna", "atac") != set()
    assert (links_between(again, "atac", "rna") != links_between(again, "rna", "atac").T).nnz == 0
    assert links_between(again, "atac", "adt").nnz == 0
    assert set(again.uns["links"]) == {"rna-atac", "rna-adt"}


def test_links_of_a_split_are_those_of_its_features(trimodal):
    dataset = curated(trimodal)
    preprocess = {"rna": {"features": 7}, "atac": {"features": 15, "components": 3}}
    parts = cut(dataset, "mosaic", paired_fraction=0.5, preprocess=preprocess)
    for part in parts.values():
        for pair in (("rna", "atac"), ("rna", "adt")):
            whole = linked_names(dataset, *pair)
            features = [set(part[modality].var_names) for modality in pair]
            assert linked_names(part, *pair) == {
                link for link in whole if link[0] in features[0] and link[1] in features[1]
            }


def test_gene_activity_sums_all_linked_peaks_also_those_that_were_not_chosen(trimodal):
    dataset = curated(trimodal)
    preprocess = {"atac": {"features": 10, "components": 3}}
    parts = cut(dataset, preprocess=preprocess)
    counts = dataset["atac"].layers["counts"].toarray()
    of_genes = {}
    for gene, peak, sign in linked_names(dataset, "rna", "atac"):
        column = counts[:, dataset["atac"].var_names.get_loc(peak)] * sign
        of_genes[gene] = of_genes.get(gene, 0) + column
    rows = dataset.obs_names.get_indexer(parts["solution"].obs_names)
    genes = parts["solution"]["rna"].var_names
    assert set(of_genes) & set(genes)
    expected = np.stack([of_genes.get(gene, np.zeros(60))[rows] for gene in genes], axis=1)
    gene_activity = parts["solution"]["atac"].obsm["gene_activity"]
    assert_array_equal(gene_activity.toarray(), expected)
    order = parts["query"]["atac"].obs_names.get_indexer(
        parts["solution"]["atac"].obs["query_name"]
    )
    assert_array_equal(parts["query"]["atac"].obsm["gene_activity"].toarray()[order], expected)
    assert parts["train"]["atac"].obsm["gene_activity"].shape == (48, len(genes))


def test_genes_of_measured_proteins_are_chosen_however_little_they_vary(trimodal):
    preprocess = {"rna": {"features": 2}}
    parts = cut(curated(trimodal), preprocess=preprocess)
    genes = set(parts["train"]["rna"].var_names)
    assert {"CD3D", "CD3E", "CD4", "MS4A1"} <= genes
    assert len(genes) <= 6
    unlinked = cut(trimodal, preprocess=preprocess)
    assert unlinked["train"]["rna"].n_vars == 2


def test_methods_see_links_and_gene_activities_only_if_they_ask(trimodal):
    dataset = curated(trimodal)
    parts = cut(dataset, "mosaic", paired_fraction=0.4)
    blind, told = (as_split(parts["train"], labels=False, links=links) for links in (False, True))
    assert not blind.links
    assert not any(block.gene_activity for block in blind.blocks)
    assert set(told.links) == set(permutations(("rna", "adt"))) | set(permutations(("rna", "atac")))
    assert told.links["rna", "adt"].shape == (len(told.normalizations["rna"].fraction), 4)
    for block in told.blocks:
        assert set(block.gene_activity) == {"atac"} & set(block.modalities)
        for modality, gene_activity in block.gene_activity.items():
            rows = parts["train"][modality].obs_names.get_indexer(block.names)
            assert (gene_activity != parts["train"][modality].obsm["gene_activity"][rows]).nnz == 0


def test_quality_control_keeps_links_with_their_features(trimodal):
    whole = curated(trimodal)
    part = curated(trimodal, qc={"atac": {"min_cells": 38}})
    assert 0 < part["atac"].n_vars < whole["atac"].n_vars
    kept = set(part["atac"].var_names)
    assert linked_names(part, "rna", "atac") == {
        link for link in linked_names(whole, "rna", "atac") if link[1] in kept
    }


# --- a user's table, a GTF -----------------------------------------------------------------------------------------------


def test_a_table_of_ones_own_replaces_what_would_be_linked(trimodal, tmp_path):
    peak, other = trimodal["atac"].var_names[[2, 5]]
    path = tmp_path / "links.tsv"
    path.write_text(
        f"rna\tatac\tsign\nCD4\t{peak}\t1\nCD4\t{peak}\t1\nG1\t{other}\t-1\nNOPE\t{peak}\t1\n"
    )
    dataset = curated(trimodal, tmp_path, links="links.tsv")
    assert linked_names(dataset, "rna", "atac") == {("CD4", peak, 1), ("G1", other, -1)}
    assert links_between(dataset, "rna", "adt").nnz == 0
    gene_activity = links.gene_activity(
        dataset["atac"].layers["counts"], links_between(dataset, "rna", "atac")
    ).toarray()
    counts = dataset["atac"].to_df(layer="counts")
    assert_array_equal(gene_activity[:, dataset["rna"].var_names.get_loc("G1")], -counts[other])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "gene\tpeak\tsign\nG1\tp\t1\n",
            "has the columns gene, peak, sign; expected two of rna, atac, adt, and sign",
        ),
        ("rna\tatac\tsign\nG1\tp\t2\n", "sign must be 1 or -1, found '2'"),
        (
            "rna\tatac\tsign\nG1\tp\t1\n",
            "no line of .* names two features of the dataset",
        ),
    ],
)
def test_a_wrong_table_is_refused(trimodal, tmp_path, text, message):
    (tmp_path / "links.tsv").write_text(text)
    with pytest.raises(UserError, match=message):
        curated(trimodal, tmp_path, links="links.tsv")


def test_genes_are_placed_by_a_gtf(trimodal, tmp_path):
    lines = ["#!genome-build GRCh38"]
    for name, start, end, strand in (("CD3D", 10_001, 13_000, "+"), ("G1", 50_001, 53_000, "-")):
        about = f'gene_id "ENSG_{name}.2"; gene_name "{name}";'
        lines.append(f"chr1\tHAVANA\tgene\t{start}\t{end}\t.\t{strand}\t.\t{about}")
        lines.append(f"chr1\tHAVANA\texon\t{start}\t{start + 9}\t.\t{strand}\t.\t{about}")
    with gzip.open(tmp_path / "genes.gtf.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    found = links.read_gtf(tmp_path / "genes.gtf.gz")
    assert found.loc[0].tolist() == ["chr1", 10_000, 13_000, "+", "ENSG_CD3D", "CD3D"]
    with pytest.warns(UserWarning, match="gtf: only 2 of 12 genes are in"):
        dataset = curated(trimodal, tmp_path, gtf="genes.gtf.gz")
    assert {gene for gene, _, _ in linked_names(dataset, "rna", "atac")} <= {"CD3D", "G1"}
    assert ("CD3D", "chr1:10100-10600", 1) in linked_names(dataset, "rna", "atac")
    (tmp_path / "empty.gtf").write_text('chr1\tHAVANA\texon\t1\t9\t.\t+\t.\tgene_id "x";\n')
    with pytest.raises(UserError, match="empty.gtf has no line of the type 'gene'"):
        links.read_gtf(tmp_path / "empty.gtf")


# --- wrong links ---------------------------------------------------------------------------------------------------------


def parts_with(dataset, fraction):
    preprocess = {"rna": {"features": 9}, "atac": {"features": 20, "components": 3}}
    return cut(dataset, "unpaired", preprocess=preprocess, corrupted_links=fraction)


def test_a_share_of_links_becomes_wrong_and_nothing_else_changes(trimodal):
    dataset = curated(trimodal)
    clean, spoilt = parts_with(dataset, 0.0), parts_with(dataset, 0.5)
    for noun, part in clean.items():
        for modality, cells in part.mod.items():
            other = spoilt[noun][modality]
            assert list(cells.obs_names) == list(other.obs_names)
            assert list(cells.var_names) == list(other.var_names)
            assert_array_equal(standardised_values(cells), standardised_values(other))
    for other in ("atac", "adt"):
        true, wrong = (linked_names(parts["train"], "rna", other) for parts in (clean, spoilt))
        assert wrong == linked_names(spoilt["solution"], "rna", other)
        everything = linked_names(dataset, "rna", other)
        assert not (wrong - true) & everything  # a wrong link is wrong
        assert 0 < len(true & wrong) < len(true)
    true, wrong = (linked_names(parts["train"], "rna", "adt") for parts in (clean, spoilt))
    assert len(wrong) == len(true) == 4
    assert len(true & wrong) == 2
    assert {end for _, end, _ in wrong} == {end for _, end, _ in true}
    assert linked_names(parts_with(dataset, 1.0)["train"], "rna", "adt").isdisjoint(true)
    assert linked_names(parts_with(dataset, 0.5)["train"], "rna", "atac") == linked_names(
        spoilt["train"], "rna", "atac"
    )
    assert linked_names(dataset, "rna", "adt") == linked_names(curated(trimodal), "rna", "adt")


def test_what_cannot_be_corrupted_is_refused(trimodal):
    with pytest.raises(UserError, match="corrupted_links: the dataset has no links; give it some"):
        parts_with(trimodal, 0.5)
    narrow = {
        "rna": ["CD4"],
        "atac": list(trimodal["atac"].var_names),
        "adt": list(trimodal["adt"].var_names),
    }
    with pytest.raises(
        UserError, match="linked with every chosen one, no wrong link is left; lower the fraction"
    ):
        links.corrupted(curated(trimodal), 1.0, narrow, default_rng(0))
