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

PLACE = r"(?P<chrom>\w*):(?P<start>-?\d+)-(?P<end>-?\d+)(?P<strand>[+-]?)"


def places(*rows):
    """Return a table of places such as chr1:10-20, or chr1:10-20+ on a strand."""
    return pd.Series(rows).str.extract(PLACE).astype({"start": int, "end": int})


def pairs(found):
    """Return the linked (gene, peak)."""
    return set(zip(found[0].tolist(), found[1].tolist(), strict=True))


# --- peak to gene --------------------------------------------------------------------------------------------------------


def test_promoters_lie_upstream_on_the_strand_and_on_both_sides_without_one():
    genes = ["chr1:10000-20000+", "chr1:10000-20000-", "chr2:10000-20000+", "1:50000-60000+"]
    genes = places(*genes, "chrX:10000-20000", ":-1--1")
    peaks = ["chr1:7900-8001", "chr1:7900-8000", "chr1:21999-22100", "chr1:22000-22100"]
    peaks += ["chr1:50500-50600", "chr11:50500-50600", ":-1--1"]
    peaks = places(
        *peaks, "chrX:7900-8001", "chrX:7900-8000", "chrX:21999-22100", "chrX:22000-22100"
    )
    found = links.peak_links(genes, peaks)
    assert len(found[0]) == 5
    assert pairs(found) == {(0, 0), (1, 2), (3, 4), (4, 7), (4, 9)}
    assert set(found[2]) == {1}
    assert pairs(links.peak_links(genes, peaks, upstream=0)) == {(3, 4)}


# --- protein to gene -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protein", "genes"),
    [
        ("CD3_TotalSeqB", ("CD3D", "CD3E", "CD3G")),
        ("CD4-1", ("CD4",)),  # not CD41
        ("CD3-1", ("CD3D", "CD3E", "CD3G")),  # not CD31
        ("CD41", ("ITGA2B",)),
        ("PD-1_TotalSeqB", ("PDCD1",)),
        ("CD3-CTCATTGTAACTCCT", ("CD3D", "CD3E", "CD3G")),  # of CITE-seq-Count
        ("adt_CD4", ("CD4",)),
        ("prot:CD8a", ("CD8A",)),
        ("HLA.DR", ("HLA-DRA", "HLA-DRB1", "HLA-DRB5")),
        ("TCR-1", ("TRDC", "TRGC1", "TRGC2")),
        ("CD307c/FcRL3", ("FCRL3",)),
        ("CD127 (IL-7Rα)", ("IL7R",)),
        ("Notch-2", ("NOTCH2",)),
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
        "Mouse IgG2a, κ isotype Ctrl",
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
        names = pd.read_csv(published(dataset) / "pbmc10k_harmo_pro.csv.gz", index_col=0).index
    else:
        names = embedded.load(dataset)["adt"].var_names
    assert len(names) == proteins
    assert sum(map(antibodies.is_isotype, names)) == controls
    assert sum(bool(antibodies.target_genes(name)) for name in names) == proteins - controls


# --- in a dataset and in its splits ---------------------------------------------------------------------------------------


@pytest.fixture
def trimodal():
    """Return 60 cells with genes, peaks and proteins that have known links."""
    rng = default_rng(0)
    starts = range(10_000, 130_000, 10_000)
    genes = places(*(f"chr1:{at}-{at + 3000}{'+-'[at // 10_000 % 2 - 1]}" for at in starts))
    peaks = [f"chr1:{at + 100}-{at + 600}" for at in range(5_000, 125_000, 5_000)]
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


EXPECTED = {("CD3D", "CD3", 1), ("CD3E", "CD3", 1), ("CD4", "CD4", 1), ("MS4A1", "CD20", 1)}


def linked_names(part, first, second):
    matrix = links_between(part, first, second).tocoo()
    return {
        (part[first].var_names[r], part[second].var_names[c], v)
        for r, c, v in zip(matrix.row, matrix.col, matrix.data, strict=True)
    }


def test_links_survive_the_disk_and_tell_their_origin(trimodal, tmp_path):
    dataset = curated(trimodal)
    assert not trimodal.varp
    assert linked_names(dataset, "rna", "adt") == EXPECTED
    dataset.uns.pop("curation")
    dataset.uns[KEY] = {"noun": "dataset", "dataset": "d"}
    write_dataset(tmp_path / "d.h5mu", dataset)
    again = read_dataset(tmp_path / "d.h5mu")
    assert linked_names(again, "rna", "adt") == EXPECTED
    assert linked_names(again, "rna", "atac") == linked_names(dataset, "rna", "atac") != set()
    assert (links_between(again, "atac", "rna") != links_between(again, "rna", "atac").T).nnz == 0
    assert links_between(again, "atac", "adt").nnz == 0
    assert set(again.uns["links"]) == {"rna-atac", "rna-adt"}


def test_links_of_a_split_and_of_cells_of_quality_are_those_of_their_features(trimodal):
    dataset = curated(trimodal)
    preprocess = {"rna": {"features": 7}, "atac": {"features": 15, "components": 3}}
    parts = cut(dataset, "mosaic", paired_fraction=0.5, preprocess=preprocess)
    fewer = curated(trimodal, qc={"atac": {"min_cells": 38}})
    assert 0 < fewer["atac"].n_vars < dataset["atac"].n_vars
    for part in (*parts.values(), fewer):
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
    of_query = parts["query"]["atac"][list(parts["solution"]["atac"].obs["query_name"])]
    assert_array_equal(of_query.obsm["gene_activity"].toarray(), expected)
    assert parts["train"]["atac"].obsm["gene_activity"].shape == (48, len(genes))


def test_genes_of_measured_proteins_are_chosen_however_little_they_vary(trimodal):
    preprocess = {"rna": {"features": 2}}
    parts = cut(curated(trimodal), preprocess=preprocess)
    genes = set(parts["train"]["rna"].var_names)
    assert {gene for gene, _, _ in EXPECTED} <= genes
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
            "links.tsv .* gene, peak, sign; .*rna, atac, adt, and sign",
        ),
        ("rna\tatac\tsign\nG1\tp\t2\n", "links.tsv: sign .*'2'"),
        ("rna\tatac\tsign\nG1\tp\t1\n", "no line of .*links.tsv"),
    ],
)
def test_a_wrong_table_is_refused(trimodal, tmp_path, text, message):
    (tmp_path / "links.tsv").write_text(text)
    with pytest.raises(UserError, match=message):
        curated(trimodal, tmp_path, links="links.tsv")


def test_genes_are_placed_by_a_gtf(trimodal, tmp_path):
    lines = ["#!genome-build GRCh38"]
    for name, start, strand in (("CD3D", 10_001, "+"), ("G1", 50_001, "-")):
        about = f'{strand}\t.\tgene_id "ENSG_{name}.2"; gene_name "{name}";'
        lines.append(f"chr1\tHAVANA\tgene\t{start}\t{start + 2999}\t.\t{about}")
        lines.append(f"chr1\tHAVANA\texon\t{start}\t{start + 9}\t.\t{about}")
    with gzip.open(tmp_path / "genes.gtf.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    found = links.read_gtf(tmp_path / "genes.gtf.gz")
    assert found.loc[0].tolist() == ["chr1", 10_000, 13_000, "+", "ENSG_CD3D", "CD3D"]
    with pytest.warns(UserWarning, match="gtf: only 2 of 12 genes are in"):
        dataset = curated(trimodal, tmp_path, gtf="genes.gtf.gz")
    assert {gene for gene, _, _ in linked_names(dataset, "rna", "atac")} <= {"CD3D", "G1"}
    assert ("CD3D", "chr1:10100-10600", 1) in linked_names(dataset, "rna", "atac")
    (tmp_path / "empty.gtf").write_text('chr1\tHAVANA\texon\t1\t9\t.\t+\t.\tgene_id "x";\n')
    with pytest.raises(UserError, match="empty.gtf .*'gene'"):
        links.read_gtf(tmp_path / "empty.gtf")


# --- wrong links ---------------------------------------------------------------------------------------------------------


def parts_with(dataset, fraction):
    preprocess = {"rna": {"features": 9}, "atac": {"features": 20, "components": 3}}
    return cut(dataset, "unpaired", preprocess=preprocess, corrupted_links=fraction)


def test_a_share_of_links_becomes_wrong_and_nothing_else_changes(trimodal):
    dataset = curated(trimodal)
    clean, spoilt, again = (parts_with(dataset, fraction) for fraction in (0.0, 0.5, 0.5))
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
    assert linked_names(again["train"], "rna", "adt") == wrong
    assert linked_names(dataset, "rna", "adt") == EXPECTED


def test_no_wrong_link_is_a_true_one_or_there_twice(trimodal):
    dataset = curated(trimodal)
    names = {modality: list(cells.var_names) for modality, cells in dataset.mod.items()}
    for seed in range(20):
        wrong = links.corrupted(dataset, 1.0, names, default_rng(seed))
        found = linked_names(wrong, "rna", "adt")
        assert len(found) == 4 and found.isdisjoint(EXPECTED)


def test_what_cannot_be_corrupted_is_refused(trimodal):
    with pytest.raises(UserError, match="corrupted_links: .* no links"):
        parts_with(trimodal, 0.5)
    narrow = {modality: list(cells.var_names) for modality, cells in trimodal.mod.items()}
    narrow["rna"] = ["CD4"]
    with pytest.raises(UserError, match="corrupted_links: .*lower the fraction"):
        links.corrupted(curated(trimodal), 1.0, narrow, default_rng(0))
