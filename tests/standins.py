"""Stand-ins for the three dataset families: the publishers' file names, formats and layouts, with small simulated content.

Each family is made from simulated cells, and what its loader should find again is returned beside the files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from dataclasses import dataclass

import anndata
import h5py
import numpy as np
import pandas as pd
import rdata
import yaml
from numpy.random import default_rng
from rdata.conversion.to_r import build_r_object
from scipy import sparse
from scipy.io import mmwrite

from mosaicbench.config import registry
from mosaicbench.datasets import simulated

TYPES = ["CD14 Mono", "CD4 Naive", "CD8 Naive", "NK", "B naive"]
CONTIGS = ["GL000194.1:55723-56585", "KI270728.1:232100-232900"]
PROTEINS = [
    "CD3-1",
    "CD3-2",
    "CD4-1",
    "CD56-1",
    "CD45RA",
    "Integrin-7",
    "TCR-V-7.2",
    "TCR-1",
    "IgG1",
]
MITOCHONDRIAL = 2  # the first genes
LOST = 7  # the row of a cell that is in the ARC file but not in the table of antibodies


@dataclass(frozen=True)
class Truth:
    """What a loader should find: cell names, types ("" = unknown), batches, and modality -> counts without empty features."""

    cells: list[str]
    cell_type: list[str]
    batch: list[str]
    counts: dict[str, np.ndarray]


def multiome(folder, *, cells=260):
    """Write an ARC file with some bad nuclei, and SCENT's table, which lacks some cells and has some that the file lacks."""
    rng, (types, counts) = default_rng(1), _simulated(cells, ("rna", "atac"), seed=1)
    counts = {"rna": 50 * counts["rna"], "atac": 400 * counts["atac"]}  # as deep as the real one
    counts["rna"][:5, 0] += np.round(0.6 * counts["rna"][:5].sum(1))  # mitochondrial
    barcodes = [f"{barcode}-1" for barcode in _barcodes(cells, rng)]
    file = folder / "pbmc_granulocyte_sorted_10k_filtered_feature_bc_matrix.h5"
    _write_arc(file, counts, barcodes, rng)
    listed = np.sort(rng.choice(cells, cells - 20, replace=False))
    names = [barcodes[i] for i in listed] + [f"{barcode}-1" for barcode in _barcodes(15, rng)]
    table = pd.DataFrame({"nCount_RNA": 1.0}, index=pd.Index(names, dtype=object))
    table["predicted.id"] = [*types[listed], *["NK"] * 15]
    rdata.write_rds(folder / "pbmc_multimodal.meta.rds", table)
    known = np.full(cells, "", dtype=object)
    known[listed] = types[listed]
    rna, atac = counts["rna"].sum(1), counts["atac"].sum(1)
    mitochondrial = counts["rna"][:, :MITOCHONDRIAL].sum(1)
    good = (rna >= 1000) & (rna <= 25000) & (atac >= 5000) & (atac <= 70000)
    rows = np.flatnonzero(good & (mitochondrial <= 0.2 * rna))
    return _truth(barcodes, known, ["all"] * cells, counts, rows)


def hao(folder, *, cells=320, chemistry="3P"):
    """Write the MEX files of RNA and ADT, one symbol a line, and the metadata, in which some cells are doublets."""
    rna, adt = {"3P": ("GSM5008737", "GSM5008738"), "5P": ("GSM5008740", "GSM5008741")}[chemistry]
    rng, (types, counts) = default_rng(2), _simulated(cells, ("rna", "adt"), seed=2)
    names = [f"L{i % 4 + 1}_{barcode}" for i, barcode in enumerate(_barcodes(cells, rng))]
    doublet = rng.random(cells) < 0.06
    donors = np.array([f"P{i % 8 + 1}" for i in range(cells)])
    genes = [f"GENE{i}" for i in range(counts["rna"].shape[1])]
    genes[5] = "GENE4.1"  # Seurat's mark of a duplicated symbol
    for kind, sample, features in (("RNA", rna, genes), ("ADT", adt, PROTEINS)):
        stem, x = f"{sample}_{kind}_{chemistry}", counts[kind.lower()].T.astype(int)
        matrix = io.BytesIO()
        mmwrite(matrix, sparse.coo_matrix(x), field="integer")
        _gzip(folder / f"{stem}-matrix.mtx.gz", matrix.getvalue())
        for part, lines in (("barcodes", names), ("features", features)):
            text = "".join(f"{line}\n" for line in lines)
            _gzip(folder / f"{stem}-{part}.tsv.gz", text.encode())
    fine = np.where(doublet, "Doublet", types)
    columns = {
        "lane": [name.split("_")[0] for name in names],
        "donor": donors,
        "time": "0",
        "celltype.l1": [str(name).split()[0] for name in types],
        "celltype.l2": fine,
        "celltype.l3": fine,
        "Batch": "Batch1",
    }
    table = pd.DataFrame(columns, index=names).sample(frac=1, random_state=0)
    _gzip(folder / f"GSE164378_sc.meta.data_{chemistry}.csv.gz", table.to_csv().encode())
    return _truth(names, types, donors, counts, np.flatnonzero(~doublet))


def teaseq(
    folder,
    wells,
    *,
    cells=240,
    label_subset=True,
    suffix="-{number}",
):
    """Write each well's ARC file and its antibody counts of all droplets, and one archive with the types of all wells.

    Parameters
    ----------
    wells
        Well -> what its files' names begin with, before "_tea".
    suffix
        How a barcode ends with the well in the table of types.
    """
    truths, rows = [], []
    all_types, all_counts = _simulated(cells * len(wells), ("rna", "atac", "adt"), seed=3)
    for order, (well, stem) in enumerate(wells.items()):
        rng, of_well = default_rng(3 + order), slice(cells * order, cells * (order + 1))
        types = all_types[of_well].copy()
        counts = {kind: matrix[of_well] for kind, matrix in all_counts.items()}
        barcodes, empty = _barcodes(cells, rng), _barcodes(400, rng)
        names = [f"{barcode}-1" for barcode in barcodes]
        of_arc, of_adt = ("fulldepth", "fulldepth") if well == "W1" else ("200M", "48M")
        file = folder / f"{stem}_tea_{of_arc}_cellranger-arc_filtered_feature_bc_matrix.h5"
        _write_arc(file, {kind: counts[kind] for kind in ("rna", "atac")}, names, rng)
        noise = rng.poisson(0.05, (400, len(PROTEINS)))
        droplets = np.concatenate([counts["adt"], noise]).astype(int)
        table = pd.DataFrame(droplets, columns=PROTEINS)
        table.insert(0, "total", droplets.sum(1))
        table.insert(0, "cell_barcode", [*barcodes, *empty])
        table = table.drop(index=LOST).sample(frac=1, random_state=0)
        _gzip(folder / f"{stem}_tea_{of_adt}_adt_counts.csv.gz", table.to_csv(index=False).encode())
        types[rng.choice(cells, cells // 8, replace=False)] = ""
        end = suffix.format(number=well[1:])
        rows += [(f"{b}{end}", kind) for b, kind in zip(barcodes, types, strict=True) if kind]
        known = types if label_subset else np.full(cells, "")
        kept, cell_names = np.arange(cells) != LOST, [f"{well}_{name}" for name in names]
        truths.append(_truth(cell_names, known, [well] * cells, counts, np.flatnonzero(kept)))
    if label_subset:
        table = pd.DataFrame(rows, columns=["barcode", "seurat_pbmc_cell_type"])
        table["predicted.celltype.l2"] = table["seurat_pbmc_cell_type"]
        stem = "elife-63632-fig4-data2-v1"
        with zipfile.ZipFile(folder / f"{stem}.zip", "w") as archive:
            name = f"{stem}/Figure4_SourceData2_TypeLabelsUMAP.csv"
            archive.writestr(name, table.to_csv(index=False))
            archive.writestr(f"__MACOSX/{name.replace('/', '/._')}", "")
    kinds = ("rna", "atac", "adt") if len(wells) == 1 else ("rna", "adt")
    return Truth(
        sum((truth.cells for truth in truths), []),
        sum((truth.cell_type for truth in truths), []),
        sum((truth.batch for truth in truths), []),
        {kind: np.concatenate([truth.counts[kind] for truth in truths]) for kind in kinds},
    )


def neurips(folder, *, kind, cells=150):
    """Write one packed h5ad with both modalities side by side, counts in a layer and normalised values in X."""
    rng, (types, counts) = default_rng(6), _simulated(cells, ("rna", kind), seed=6)
    batches = [f"s{i % 2 + 1}d{i % 3 + 1}" for i in range(cells)]
    barcodes = _barcodes(cells, rng)
    names = [f"{barcode}-1-{batch}" for barcode, batch in zip(barcodes, batches, strict=True)]
    genes, others = counts["rna"].shape[1], counts[kind].shape[1]
    peaks = [f"chr1-{1000 * i + 1}-{1000 * i + 900}" for i in range(others)]
    features = [f"GENE{i}" for i in range(genes)] + (PROTEINS if kind == "adt" else peaks)
    both = sparse.csr_matrix(np.concatenate([counts["rna"], counts[kind]], axis=1))
    types_of = pd.Categorical(["GEX"] * genes + [kind.upper()] * others)
    var = pd.DataFrame({"feature_types": types_of}, index=features)
    columns = {"cell_type": types, "batch": batches, "Site": [batch[:2] for batch in batches]}
    obs = pd.DataFrame(columns, index=names, dtype="category")
    stem = {"adt": "cite", "atac": "multiome"}[kind]
    file = folder / f"GSE194122_openproblems_neurips2021_{stem}_BMMC_processed.h5ad"
    anndata.AnnData(both.log1p(), obs=obs, var=var, layers={"counts": both}).write_h5ad(file)
    _gzip(folder / f"{file.name}.gz", file.read_bytes())
    file.unlink()
    return Truth(names, list(types), batches, counts)


def zenodo(folder, *, cells=100):
    """Write one h5ad per modality, counts in X, as the labelled copies of the Multiome have them."""
    rng, (types, counts) = default_rng(7), _simulated(cells, ("rna", "atac"), seed=7)
    names = [f"{barcode}-1" for barcode in _barcodes(cells, rng)]
    obs = pd.DataFrame({"cell_type": pd.Categorical(types)}, index=names)
    for kind, matrix in counts.items():
        file = folder / f"10x-Multiome-Pbmc10k-{kind.upper()}.h5ad"
        var = pd.DataFrame(index=[f"{kind}{i}" for i in range(matrix.shape[1])])
        anndata.AnnData(sparse.csr_matrix(matrix), obs=obs, var=var).write_h5ad(file)
    return Truth(names, list(types), ["all"] * cells, counts)


NOT_SEQUENCED = ("H003", "H008")


def cll(folder, *, patients=20):
    """Write MOFAdata's list of matrices, in which some patients were not sequenced, and the clinical table.

    Returns
    -------
    tuple
        name of a matrix -> features x patients, one of which lacks a single value; patient -> IGHV status as written.
    """
    rng, names = default_rng(8), [f"H{i:03d}" for i in range(patients)]
    sizes = {"Drugs": 5, "Methylation": 9, "mRNA": 12, "Mutations": 4}
    tables = {}
    for name, n in sizes.items():
        features = [f"{name}{j}" for j in range(n)]
        tables[name] = pd.DataFrame(rng.standard_normal((n, patients)), features, names)
    mutations = (tables["Mutations"] > 0).astype(float)
    tables["Mutations"] = mutations.rename(index={"Mutations0": "IGHV"})
    tables["mRNA"][list(NOT_SEQUENCED)] = np.nan
    tables["Methylation"].iloc[4, 5] = np.nan
    _write_rda(folder / "CLL_data.RData", {"CLL_data": tables})
    status = rng.choice(["0", "1", "NA"], patients, p=[0.4, 0.4, 0.2])
    clinical = pd.DataFrame({"sample": names, "Gender": "m", "IGHV": status}).iloc[::-1]
    clinical.to_csv(folder / "sample_metadata.txt", sep="\t", index=False)
    return tables, dict(zip(clinical["sample"], clinical["IGHV"], strict=True))


def _write_rda(path, content):
    rdata.write_rda(path, content, constructor_dict={pd.DataFrame: _r_matrix})


def _r_matrix(table, converter):
    matrix = converter.convert_to_r_object(table.to_numpy().ravel(order="F"))
    names = [np.array(list(index)) for index in (table.index, table.columns)]
    attributes = converter.convert_to_r_attributes(
        {"dim": np.array(table.shape, dtype=np.int32), "dimnames": names}
    )
    return build_r_object(matrix.info.type, value=matrix.value, attributes=attributes)


def breast_tcga(folder):
    """Write mixOmics' list of two parts, the second without proteins; return it: tumours x features, and subtypes."""
    rng, content = default_rng(10), {}
    for part, tumours, names in (
        ("data.train", 12, ("mirna", "mrna", "protein")),
        ("data.test", 7, ("mirna", "mrna")),
    ):
        index = [f"{part[5:7].upper()}{i:02d}" for i in range(tumours)]
        content[part] = {}
        for name in names:
            features = [f"{name}{j}" for j in range(6)]
            x = rng.standard_normal((tumours, 6))
            content[part][name] = pd.DataFrame(x, index, features)
        content[part]["subtype"] = np.resize(["Basal", "Her2", "LumA"], tumours)
    _write_rda(folder / "breast.TCGA.rda", {"breast.TCGA": content})
    return content


def tcga_brca(folder):
    """Write Xena's tables; return expression and methylated shares, features x samples, and sample -> status as written."""
    rng = default_rng(9)
    names = [f"TCGA-A{i % 3}-A{i:03d}-0{1 + 5 * (i % 9 == 0)}" for i in range(24)]
    genes, sites = [f"GENE{j}" for j in range(15)], [f"cg{j:08d}" for j in range(30)]
    expression = pd.DataFrame(np.abs(rng.normal(8, 2, (15, 20))), genes, names[:20])
    shares = pd.DataFrame(rng.beta(0.5, 0.5, (30, 19)), sites, names[5:])
    shares.iloc[3] = np.nan
    shares.iloc[7, 2] = np.nan
    for file, table in (("HiSeqV2.gz", expression), ("HumanMethylation450.gz", shares)):
        table.to_csv(folder / file, sep="\t", index_label="sample", na_rep="NA", compression="gzip")
    status = rng.choice(["Positive", "Negative", "Indeterminate", ""], len(names))
    table = pd.DataFrame({"sampleID": names, "AGE": 50, "ER_Status_nature2012": status})
    table.to_csv(folder / "BRCA_clinicalMatrix", sep="\t", index=False)
    return expression, shares, dict(zip(names, status, strict=True))


def mirrored(folder):
    """Write stand-ins of every dataset of the families into ``folder/{dataset}``; return what their loaders should find."""
    stem = "GSM{}_X066-MP0C1{}_leukopak_perm-cells".format
    later = {f"W{i}": stem(5123948 + i, f"W{i}") for i in (3, 4, 5, 6)}
    early = {"W1": "GSM4949911_X061-AP0C1W1_leukopak_perm-cells"}
    makers = {
        "multiome_pbmc10k": multiome,
        "multiome_pbmc10k_zenodo": zenodo,
        "hao_citeseq": hao,
        "hao_citeseq_5p": lambda place: hao(place, cells=120, chemistry="5P"),
        "teaseq": lambda place: teaseq(place, {"W3": later["W3"]}),
        "teaseq_wells": lambda place: teaseq(place, later, cells=70),
        "neurips_cite": lambda place: neurips(place, kind="adt"),
        "neurips_multiome": lambda place: neurips(place, kind="atac"),
        "teaseq_w1": lambda place: teaseq(place, early, cells=90, label_subset=False),
    }
    truths = {}
    for dataset, make in makers.items():
        (folder / dataset).mkdir(parents=True)
        truths[dataset] = make(folder / dataset)
    return truths


def registered(mirror, address, path):
    """Write a registry like the project's own, with the stand-ins' addresses, lengths and checksums.

    It has a length or checksum exactly where the project's own has one.
    """
    entries = {}
    for folder in sorted(mirror.iterdir()):
        stanza, files = registry.load()[folder.name], {}
        for name, known in stanza["files"].items():
            if not known.get("optional"):
                files[name] = _facts(folder / name, address, known)
        entries[folder.name] = stanza | {"files": files}
    path.write_text(yaml.safe_dump(entries, sort_keys=False))


def _facts(file, address, known):
    content = file.read_bytes()
    facts = {"url": f"{address}/{file.parent.name}/{file.name}", "bytes": known["bytes"]}
    if known["bytes"] is not None:
        facts["bytes"] = len(content)
    for kind in {"md5", "sha256"} & known.keys():
        facts[kind] = hashlib.new(kind, content).hexdigest()
    return facts


def _simulated(cells, modalities, *, seed):
    """Return (cells,) types, and modality -> counts."""
    sizes = {"n_rna": 300, "n_atac": 500, "n_adt": len(PROTEINS), "cell_types": len(TYPES)}
    whole = simulated.load(None, cells=cells, modalities=modalities, batches=1, seed=seed, **sizes)
    _, types = np.unique(np.asarray(whole.obs["cell_type"], dtype=str), return_inverse=True)
    counts = {kind: cells.layers["counts"].toarray() for kind, cells in whole.mod.items()}
    counts = {kind: matrix.astype(np.float32) for kind, matrix in counts.items()}
    return np.array(TYPES, dtype=object)[types], counts


def _truth(names, types, batches, counts, rows):
    cells, known, batch = ([column[i] for i in rows] for column in (names, types, batches))
    return Truth(cells, known, batch, {kind: matrix[rows] for kind, matrix in counts.items()})


def _barcodes(n, rng):
    return ["".join(letters) for letters in rng.choice(list("ACGT"), (n, 16))]


def _gzip(path, content):
    path.write_bytes(gzip.compress(content, mtime=0))


def _write_arc(path, counts, barcodes, rng):
    """Write Cell Ranger ARC's HDF5, with a duplicated gene name and two peaks on contigs, which the counts do not have."""
    genes, peaks = counts["rna"].shape[1], counts["atac"].shape[1]
    contigs = rng.poisson(1.0, (len(barcodes), len(CONTIGS)))
    whole = np.concatenate([counts["rna"], counts["atac"], contigs], axis=1)
    matrix = sparse.csr_matrix(whole.astype(np.int32))
    starts = [(f"chr{i % 22 + 1}", 5_000 * i) for i in range(max(genes, peaks))]
    places = [f"{chrom}:{start + 10_000}-{start + 10_900}" for chrom, start in starts[:peaks]]
    spans = [f"{chrom}:{start + 9_000}-{start + 9_001}" for chrom, start in starts[:genes]]
    places += CONTIGS
    symbols = [f"GENE{i}" for i in range(genes)]
    symbols[:MITOCHONDRIAL] = ["MT-ND1", "MT-CO1"]
    symbols[9] = symbols[8]
    features = {
        "id": [f"ENSG{i:011d}" for i in range(genes)] + places,
        "name": symbols + places,
        "feature_type": ["Gene Expression"] * genes + ["Peaks"] * len(places),
        "genome": ["GRCh38"] * (genes + len(places)),
        "interval": spans + places,
    }
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(barcodes, dtype="S")
        group["data"], group["indices"] = matrix.data, matrix.indices.astype(np.int64)
        group["indptr"] = matrix.indptr.astype(np.int64)
        group["shape"] = np.array(matrix.shape[::-1], dtype=np.int32)
        table = group.create_group("features")
        table["_all_tag_keys"] = np.array(["genome", "interval"], dtype="S")
        for key, texts in features.items():
            table[key] = np.array(texts, dtype="S")
