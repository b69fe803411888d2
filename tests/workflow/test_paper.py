"""The paper's benchmark on stand-ins with the publishers' names, formats and layouts, fetched from a server on this machine."""

import importlib
import json
import shutil
from functools import partial

import numpy as np
import pytest
import standins
import yaml
from conftest import REPOSITORY
from faulty_server import serving
from test_workflow import Benchmark

from mosaicbench import cli
from mosaicbench.catalog import catalog
from mosaicbench.commands import prepare, split
from mosaicbench.config import jobs, registry, settings
from mosaicbench.data import lock
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import read_dataset
from mosaicbench.files.splits import read_split
from mosaicbench.files.tables import read_table
from mosaicbench.workflow.layout import Results

PAPER = yaml.safe_load((REPOSITORY / "config/paper.yaml").read_text())
FAMILIES = ["multiome_pbmc10k", "hao_citeseq", "teaseq"]
# Each scenario with the first dataset that has it: all three families are there.
SPLITS = {name: dataset for dataset, name in reversed(settings.load(PAPER).splits)}


class Place:
    """A server with the stand-ins, a registry that points to it, and a folder for what is fetched."""

    def __init__(self, folder, address, site, truths):
        self.folder, self.address, self.site, self.truths = folder, address, site, truths
        self.raw, self.registry = folder / "resources/raw", folder / "datasets.yaml"
        self.mirror = folder / "mirror"

    def prepared(self, dataset, **options):
        """Prepare a dataset as the workflow does, with options of the registry and of the config; return it."""
        stanza = settings.load(
            {"datasets": {dataset: options}, "registry": str(self.registry)}
        ).datasets[dataset]
        output = self.folder / f"{dataset}.h5mu"
        raw, loader = self.raw / dataset, {key: stanza[key] for key in ("loader", "options")}
        prepare.main(dataset=dataset, raw=raw, output=output, **loader)
        return read_dataset(output)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    truths = standins.mirrored(folder / "mirror")
    content = {
        f"/{path.parent.name}/{path.name}": path.read_bytes()
        for path in (folder / "mirror").glob("*/*")
    }
    with serving(content) as (address, site):
        there = Place(folder, address, site, truths)
        standins.registered(there.mirror, address, there.registry)
        yield there


@pytest.fixture(scope="module")
def fetched(place):
    cli.main(["fetch", *place.truths, "--raw", str(place.raw), "--registry", str(place.registry)])
    return place


def test_the_config_is_valid_and_names_the_three_families():
    bench = settings.load(PAPER)
    assert list(bench.datasets) == FAMILIES
    assert len(bench.seeds) == 5
    judged = {"probe", "probe_control"}  # of an embedding that a user brings
    assert set(bench.runs) == set(catalog.names("methods")) - judged
    assert all(stanza["inputs"] for stanza in bench.datasets.values())


def test_every_file_of_a_loader_is_fetched_and_recorded(fetched):
    recorded = lock.read(fetched.raw)
    for dataset in fetched.truths:
        files = registry.raw_files(registry.load(), dataset)
        needed = {file.name for file in files if not file.optional}
        there = {path.name for path in (fetched.raw / dataset).iterdir()}
        assert set(recorded[dataset]) == needed == there


@pytest.mark.parametrize(
    "dataset",
    [
        *FAMILIES,
        "multiome_pbmc10k_zenodo",
        "hao_citeseq_5p",
        "teaseq_wells",
        "teaseq_w1",
        "neurips_cite",
        "neurips_multiome",
    ],
)
def test_a_loader_finds_what_was_put_into_its_files(fetched, dataset):
    truth, found = fetched.truths[dataset], fetched.prepared(dataset)
    assert list(found.obs_names) == truth.cells
    assert list(found.obs["cell_type"]) == truth.cell_type
    assert list(found.obs["batch"]) == truth.batch
    assert list(found.mod) == list(truth.counts)
    for modality, counts in truth.counts.items():
        seen = counts.any(axis=0)
        np.testing.assert_array_equal(found[modality].layers["counts"].toarray(), counts[:, seen])
        assert found[modality].uns["kind"] == modality


def test_gene_and_peak_coordinates_are_kept_and_contigs_are_not(fetched):
    found = fetched.prepared("multiome_pbmc10k")
    assert found["atac"].var["chrom"].str.startswith("chr").all()
    assert (found["atac"].var["end"] - found["atac"].var["start"] == 900).all()
    assert found["rna"].var["start"].min() == 9_000
    assert "GENE8-1" in found["rna"].var_names


def test_what_was_dropped_and_matched_is_told(fetched, capsys):
    fetched.prepared("hao_citeseq")
    said = capsys.readouterr().out
    doublets = 320 - len(fetched.truths["hao_citeseq"].cells)
    assert f"doublets, by celltype.l2: {doublets}" in said
    assert f"{320 - doublets} cells are in the table of labels" in said
    found = fetched.prepared("multiome_pbmc10k")
    dropped = json.loads(found.uns[KEY]["dropped"])
    assert dropped["rna max_mito 0.2"] == 5
    assert all(dropped[reason] > 0 for reason in ("rna min_counts 1000", "atac min_counts 5000"))
    capsys.readouterr()
    fetched.prepared("teaseq")
    assert "not in every modality: 1" in capsys.readouterr().out


def test_a_coarser_label_and_another_batch_may_be_chosen(fetched):
    found = fetched.prepared("hao_citeseq", cell_type="celltype.l1", batch="lane")
    assert set(found.obs["cell_type"]) == {"CD14", "CD4", "CD8", "NK", "B"}
    assert set(found.obs["batch"]) == {"L1", "L2", "L3", "L4"}
    with pytest.raises(UserError, match="labels.*donors.*donor"):
        fetched.prepared("hao_citeseq", batch="donors")


@pytest.mark.parametrize("suffix", ["-{number}", "-W{number}", "-MP0C1W{number}"])
def test_the_well_is_found_however_it_stands_behind_a_barcode(tmp_path, suffix):
    from mosaicbench.datasets import teaseq

    truth = standins.teaseq(
        tmp_path, {"W3": "x_X066-MP0C1W3_y", "W4": "x_X066-MP0C1W4_y"}, cells=50, suffix=suffix
    )
    found = teaseq.load(tmp_path, wells=["W3", "W4"])
    assert list(found.obs["cell_type"]) == truth.cell_type


@pytest.mark.parametrize(
    ("dataset", "table", "make"),
    [
        ("multiome_pbmc10k", "pbmc_multimodal.meta.rds", standins.multiome),
        ("teaseq", "elife-63632-fig4-data2-v1.zip", partial(standins.teaseq, wells={"W3": "x"})),
    ],
)
def test_labels_of_other_cells_are_refused(fetched, tmp_path, monkeypatch, dataset, table, make):
    barcodes = standins._barcodes
    monkeypatch.setattr(
        standins, "_barcodes", lambda n, rng: barcodes(n, np.random.default_rng([99, n]))
    )
    (tmp_path / "others").mkdir()
    make(tmp_path / "others")
    for file in (fetched.raw / dataset).iterdir():
        source = tmp_path / "others" / table if file.name == table else file
        shutil.copy(source, tmp_path / file.name)
    loader = catalog.module("datasets", registry.load()[dataset]["loader"])
    message = rf"{table}: only \d+ of its \d+ barcodes are among the \d+ cells"
    with pytest.raises(UserError, match=message):
        importlib.import_module(loader).load(tmp_path)


@pytest.mark.parametrize(("scenario", "dataset"), SPLITS.items())
def test_every_scenario_of_the_paper_can_be_cut(fetched, scenario, dataset, tmp_path):
    bench = settings.load(PAPER | {"registry": str(fetched.registry)})
    source = fetched.folder / f"{dataset}.h5mu"
    if not source.is_file():
        fetched.prepared(dataset)
    job = jobs.split(bench, Results(tmp_path), split=(dataset, scenario), seeds=bench.seeds[:1])
    split.main(**job | {"dataset": source})
    (folder,) = job["outputs"]
    parts = {
        part: read_split(folder / f"{part}.h5mu", part) for part in ("train", "query", "solution")
    }
    assert set(parts["train"].mod) == set(fetched.truths[dataset].counts)
    train = {name for cells in parts["train"].mod.values() for name in cells.obs_names}
    assert len(train) + parts["solution"].n_obs == len(fetched.truths[dataset].cells)
    for block in bench.scenarios[scenario].get("blocks", ()):
        together = set.intersection(
            *(set(parts["train"][modality].obs_names) for modality in block)
        )
        others = [
            cells.obs_names
            for modality, cells in parts["train"].mod.items()
            if modality not in block
        ]
        assert together - set().union(*others)


@pytest.mark.workflow
def test_from_fetch_to_report(place, tmp_path):
    """The family with three modalities through the whole workflow, with one scenario, one model and little training."""
    small = {
        "registry": str(place.registry),
        "datasets": {"teaseq": None},
        "scenarios": {"bridge_rna": PAPER["scenarios"]["bridge_rna"]},
        "runs": {"mvae": {}},
        "seeds": PAPER["seeds"][:1],
        "training": {"max_epochs": 1},
        "report": {"umap_runs": []},
    }
    benchmark = Benchmark(tmp_path, PAPER | small)
    benchmark.said("--cores", "2")
    assert "<html" in (benchmark.folder / "results/report.html").read_text()
    (run,) = read_table(benchmark.folder / "results/tables/overview.tsv").to_dict("records")
    found = [run[key] for key in ("dataset", "scenario", "run", "status")]
    assert found == ["teaseq", "bridge_rna", "mvae", "ok"]
    raw = benchmark.folder / "resources/raw"
    recorded = lock.read(raw)["teaseq"]
    assert {path.name for path in (raw / "teaseq").iterdir()} == set(recorded)
    assert benchmark.planned() == set()
