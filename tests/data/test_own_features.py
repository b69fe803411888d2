"""What is no feature, and what belongs to another modality: left out by number and name, or refused with the key that helps."""

import ast

import anndata
import numpy as np
import pandas as pd
import pytest
from own_cells import equal, left_out, own_cells, read, refused, written
from scipy import sparse
from test_readers import write_tenx

from mosaicbench.data.own_features import no_feature
from mosaicbench.data.read import tenx_h5
from mosaicbench.errors import UserError

TOTALS = "totals and quality columns"
RANDOM = np.random.default_rng(4)


@pytest.fixture(scope="module")
def parts():
    return own_cells()


def beside(cells, names, counts):
    """Return the cells with further features."""
    counts = sparse.csr_matrix(np.asarray(counts, dtype=np.float32))
    more = anndata.AnnData(counts, obs=cells.obs, var=pd.DataFrame(index=names))
    whole = anndata.concat([cells, more], axis=1)
    whole.obs = cells.obs
    return whole


def tags(cells, count=4):
    tag = RANDOM.integers(0, count, cells)
    return RANDOM.poisson(np.where(np.arange(count) == tag[:, None], 400, 3))


def ten_x(path, blocks, names):
    """Write (cells, feature type, genome) blocks as Cell Ranger does."""
    parts, kinds, genomes = zip(*blocks, strict=True)
    sizes = [cells.n_vars for cells in parts]
    features = {
        "id": [f"id{i}" for i in range(sum(sizes))],
        "name": np.concatenate([cells.var_names for cells in parts]),
        "feature_type": np.repeat(kinds, sizes),
        "genome": np.repeat(genomes, sizes),
    }
    matrix = sparse.hstack([cells.X for cells in parts], format="csr")
    write_tenx(path, matrix, features, barcodes=list(names))


# --- by name ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["Hashtag1_TotalSeqC", "HTO_2", "anti-human Hashtag 3", "CMO304"], "hashtags"),
        (["SampleTag01_hs|stAbO", "K562-HTO", "hash-tag 2", "Hash_4"], "hashtags"),
        (["sgTP53_1", "sgRNA2", "non-targeting-1", "gRNA_AAVS1"], "guides"),
        (["unmapped", "no_match", "bad_struct", "__no_feature"], "unmapped reads"),
        (["nCount_ADT", "total", "percent.mt", "n_genes"], TOTALS),
        (["nFeature_RNA", "pct_counts_mt", "total_counts", "nUMI"], TOTALS),
        (["leiden", "seurat_clusters", "batch", "S.Score"], TOTALS),
    ],
)
def test_what_is_no_protein_is_left_out_by_number_and_name(parts, tmp_path, names, reason):
    adt = parts["adt"]
    with_others = beside(adt, names, tags(adt.n_obs))
    dataset, told = read(tmp_path, written(tmp_path, parts | {"adt": with_others}))
    assert equal(dataset, "adt", adt)
    assert left_out(dataset, "adt") == {reason: 4}
    (warning,) = [text for text in told if reason in text]
    assert "'adt': 4" in warning and all(name in warning for name in names)
    keep = {"adt": {"keep": [names[0]]}}
    dataset, _ = read(tmp_path, {m: f"{m}.h5ad" for m in parts}, features=keep)
    assert [*adt.var_names, names[0]] == list(dataset["adt"].var_names)
    assert left_out(dataset, "adt") == {reason: 3}


def test_no_gene_and_no_target_of_an_antibody_is_called_like_a_hashtag_or_a_total(parts):
    from mosaicbench.data.antibodies import _targets

    genes = own_cells(cells=60, genes=10_000)["rna"].var_names
    assert len(genes) > 5000
    assert not [name for name in [*genes, *_targets()] if no_feature(name)]
    alike = ("HASPIN", "SGK1", "NUMB", "TOTALLY", "CD3-CTCATTGTAACTCCT", "sgk1")
    assert not [name for name in alike if no_feature(name)]


def test_a_protein_modality_of_hashtags_alone_is_refused(parts, tmp_path):
    hashtags = beside(parts["adt"][:, :0], [f"HTO{i}" for i in range(4)], tags(120))
    with pytest.raises(
        UserError, match=r"features: .*'adt' \(4 hashtags: 'HTO0', .*leave the modal"
    ):
        read(tmp_path, written(tmp_path, parts | {"adt": hashtags}))
    blocks = [(parts["rna"], "Gene Expression", "GRCh38"), (hashtags, "Antibody Capture", "")]
    ten_x(tmp_path / "both.h5", blocks, parts["rna"].obs_names)
    refused(r"two modalities, found rna .*adt \(4 hashtags\)", tmp_path, "both.h5")


def test_isotype_controls_stay_and_are_named_with_the_key_that_drops_them(parts, tmp_path):
    path = written(tmp_path, parts)
    dataset, told = read(tmp_path, path)
    (control,) = [name for name in parts["adt"].var_names if "Isotype" in name]
    assert equal(dataset, "adt", parts["adt"])
    (warning,) = [text for text in told if "isotype" in text]
    assert f"features: {{adt: {{drop: ['{control}']}}}}" in warning
    dataset, told = read(tmp_path, path, features={"adt": {"drop": [control]}})
    assert control not in dataset["adt"].var_names and not told
    assert left_out(dataset, "adt") == {"features.drop": 1}


def test_features_are_dropped_by_name_and_by_pattern_and_unknown_ones_are_refused(parts, tmp_path):
    path, names = written(tmp_path, parts), list(parts["adt"].var_names)
    dataset, _ = read(tmp_path, path, features={"adt": {"drop": [names[0], "CD1*"]}})
    kept = [name for name in names[1:] if not name.startswith("CD1")]
    assert list(dataset["adt"].var_names) == kept
    assert left_out(dataset, "adt") == {"features.drop": len(names) - len(kept)}
    for modality, name, message in (
        ("adt", "cd4", "features.adt.drop: .*'cd4'; did you mean 'CD4'"),
        ("prot", "CD4", "features: .*'prot'; there are rna, adt"),
    ):
        refused(message, tmp_path, path, features={modality: {"drop": [name]}})


# --- by feature type -----------------------------------------------------------------------------


def test_one_h5ad_with_both_modalities_is_a_path_by_itself(parts, tmp_path):
    rna, adt = parts["rna"], parts["adt"].copy()
    adt.var_names = [*rna.var_names[:23], *adt.var_names[23:]]  # names that occur in both
    for column, types in (
        ("feature_types", ("Gene Expression", "Antibody Capture")),
        ("modality", ("GEX", "ADT")),
    ):
        both = beside(rna, adt.var_names, adt.X.toarray())
        both.var[column] = np.repeat(types, [rna.n_vars, adt.n_vars])
        both.write_h5ad(tmp_path / "both.h5ad")
        dataset, _ = read(tmp_path, "both.h5ad", cell_type="cell_type")
        assert list(dataset.mod) == ["rna", "adt"]
        assert equal(dataset, "rna", rna) and equal(dataset, "adt", adt)
        assert list(dataset.obs["cell_type"]) == list(rna.obs["cell_type"])
    written(tmp_path, parts)
    dataset, told = read(tmp_path, {"rna": "both.h5ad", "adt": "adt.h5ad"})
    assert equal(dataset, "rna", rna)
    assert any(f"adt ({adt.n_vars} features) of both.h5ad" in text for text in told)
    refused("path: .* found rna in rna.h5ad; .*adt: FILE", tmp_path, "rna.h5ad")


@pytest.mark.parametrize("typed", [True, False])
def test_the_raw_counts_of_an_h5ad_with_both_are_split_as_well(parts, tmp_path, typed):
    rna, adt = parts["rna"], parts["adt"]
    both = beside(rna, adt.var_names, adt.X.toarray())
    types = np.repeat(["Gene Expression", "Antibody Capture"], [rna.n_vars, adt.n_vars])
    if typed:
        both.var["feature_types"] = types
    both.raw = both.copy()
    both.var["feature_types"] = types
    both = both[:, 10:].copy()  # raw has more genes
    both.X = both.X.log1p()
    both.write_h5ad(tmp_path / "both.h5ad")
    if typed:
        dataset, _ = read(tmp_path, "both.h5ad")
        assert equal(dataset, "rna", rna) and equal(dataset, "adt", adt)
    else:  # which columns of raw are genes is unknown
        refused("'rna' holds no counts .*both.h5ad", tmp_path, "both.h5ad")


def test_proteins_in_obsm_as_totalvi_has_them_are_a_modality(parts, tmp_path):
    rna, adt = parts["rna"].copy(), parts["adt"]
    table = pd.DataFrame(adt.X.toarray(), index=rna.obs_names, columns=adt.var_names)
    rna.obsm["protein_expression"] = table.astype(int)
    rna.write_h5ad(tmp_path / "totalvi.h5ad")
    dataset, told = read(tmp_path, "totalvi.h5ad")
    assert equal(dataset, "rna", rna) and equal(dataset, "adt", adt)
    assert any("protein_expression" in text for text in told)


def test_feature_types_that_are_no_modality_are_counted_and_can_be_chosen(parts, tmp_path):
    rna, adt = parts["rna"], parts["adt"]
    none = adt[:, :0]
    guides = beside(none, [f"guide{i}" for i in range(20)], tags(120, 20))
    cmo = beside(none, ["CMO301", "CMO302", "CMO303"], tags(120, 3))
    blocks = [(rna, "Gene Expression", "GRCh38"), (guides, "CRISPR Guide Capture", "")]
    ten_x(tmp_path / "guides.h5", blocks, rna.obs_names)
    refused(r"found rna in .*CRISPR Guide Capture \(20 features\)", tmp_path, "guides.h5")
    blocks += [(adt, "Antibody Capture", ""), (cmo, "Multiplexing Capture", "")]
    ten_x(tmp_path / "all.h5", blocks, rna.obs_names)
    dataset, told = read(tmp_path, "all.h5")
    assert equal(dataset, "rna", rna) and equal(dataset, "adt", adt)
    (warning,) = [text for text in told if "not read" in text]
    assert "CRISPR Guide Capture (20 features) of all.h5" in warning
    assert "Multiplexing Capture (3 hashtags) of all.h5" in warning
    assert list(tenx_h5(tmp_path / "all.h5")) == ["rna", "adt"]  # of published data
    chosen = {"rna": "rna", "guides": "CRISPR Guide Capture"}
    dataset, _ = read(tmp_path, "all.h5", modalities=chosen, kinds={"guides": "continuous"})
    assert list(dataset.mod) == ["rna", "guides"] and dataset["guides"].n_vars == 20


# --- one modality inside another -----------------------------------------------------------------


def dropped(message):
    """Return the names that a message says to drop."""
    return {"rna": {"drop": ast.literal_eval(message.split("drop: ")[1][:-2])}}


@pytest.mark.parametrize("depth", [1, 0.01])
def test_proteins_inside_rna_are_refused_however_shallow_and_whatever_their_names(tmp_path, depth):
    parts = own_cells(cells=400, genes=9855)
    adt = parts["adt"].copy()
    counts = np.random.default_rng(3).binomial(adt.X.toarray().astype(int), depth)
    adt.X = sparse.csr_matrix(counts.astype(np.float32))
    names = [f"{name}_TotalSeqB" for name in adt.var_names]
    leaking = beside(parts["rna"], names, counts)
    in_cells = (counts > 0).sum(axis=0)
    seen = int((in_cells >= 3).sum())
    assert seen > 20 and (depth > 0.1 or np.sum(in_cells < 10) > 5)
    path = written(tmp_path, {"rna": leaking, "adt": adt})
    message = refused(rf"'rna' \(rna.h5ad, X\) holds {seen} .* 'adt'", tmp_path, path)
    dataset, _ = read(tmp_path, path, features=dropped(message))
    left = set(dataset["rna"].var_names) - set(parts["rna"].var_names)
    assert left == {name for name, cells in zip(names, in_cells, strict=True) if 0 < cells < 3}


def test_the_names_to_drop_are_those_that_the_key_takes(tmp_path):
    """A protein inside RNA that is called like a gene has an ending in the message, and under the key."""
    parts = own_cells(genes=9855)
    rna = beside(parts["rna"], parts["adt"].var_names, parts["adt"].X.toarray())
    assert rna.var_names.has_duplicates
    path = written(tmp_path, {"rna": rna, "adt": parts["adt"]})
    message = refused("'rna' .* holds 46 .* 'adt'.*'CD4-1'", tmp_path, path)
    dataset, _ = read(tmp_path, path, features=dropped(message))
    assert equal(dataset, "rna", parts["rna"])


# --- genomes -------------------------------------------------------------------------------------


def test_genes_of_two_species_are_counted_and_keep_names_that_link_them(parts, tmp_path):
    rna, half = parts["rna"].copy(), parts["rna"].n_vars // 2
    names = list(rna.var_names)
    mouse = [name.capitalize() for name in names[half:]]
    mouse[0] = names[0]  # called alike in both species
    rna.var_names = [f"GRCh38_{n}" for n in names[:half]] + [f"mm10___{n}" for n in mouse]
    path = written(tmp_path, parts | {"rna": rna})
    dataset, told = read(tmp_path, path)
    found = list(dataset["rna"].var_names)
    assert found[1:half] == names[1:half] and found[half + 1 :] == mouse[1:]
    assert (found[0], found[half]) == (f"GRCh38_{names[0]}", f"mm10___{names[0]}")
    (warning,) = [text for text in told if "genome" in text]
    assert f"GRCh38 ({half})" in warning and f"mm10 ({len(names) - half})" in warning
    assert "features: {rna: {drop: ['mm10_*']}}" in warning
    dataset, _ = read(tmp_path, path, features={"rna": {"drop": ["mm10_*"]}})
    assert list(dataset["rna"].var_names) == names[:half]
