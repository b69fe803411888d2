"""Every YAML block of the pages, and the YAML within their lines, is a valid config or part of one; the FAQ's run."""

import copy
import re

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY

from mosaicbench.catalog import catalog
from mosaicbench.commands import prepare, split
from mosaicbench.config import jobs, references, schema, settings
from mosaicbench.errors import UserError
from mosaicbench.files.dataset import links_between, read_dataset
from mosaicbench.files.splits import read_split
from mosaicbench.report.page.reference_sections import labels_from
from mosaicbench.workflow.layout import Results

PAGES = ["README.md", "config/README.md"]
# Every block of the page on extending runs in test_extending.
PAGES += sorted(str(page.relative_to(REPOSITORY)) for page in (REPOSITORY / "docs").rglob("*.md"))
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")
KEYS = re.compile(r"\{|[a-z_]+: ?\S")  # how YAML of keys begins
PATH_OF_KEY = re.compile(r"(report|limits|metrics): ([a-z_]+)")
PLACEHOLDER = re.compile(r"\{\w+\}")  # of a path
ABSENT = re.compile(r"no file ([^\s,]+)")
OF_OTHERS = ("gpu", "gpu_model", "cores", "package", "sbatch")  # of a profile, or the registry
OWN = {"path": {"rna": "rna.h5ad", "adt": "adt.h5ad"}, "cell_type": "cell_type"}
MINIMAL = {
    "datasets": {"mine": OWN},
    "scenarios": {"s": {"kind": "paired"}, "u": {"kind": "unpaired"}},
    "runs": {"mvae": {}, "mmvae": {}, "cca": {}},
}
ALL_KEYS = set(re.findall(r'"([a-z_]+)": ', schema.editors_schema()))
ALL_KEYS |= {*references.parameters_of("own_files")}
AROUND = {
    "config/README.md": {
        "datasets": {name: {"loader": "synthetic_gp"} for name in ("gp-20", "gp-50")},
        "metrics": {"groups": ["alignment", "disentanglement"]},
    },
    "docs/apply.md": {"datasets": {"pbmc": OWN}, "scenarios": {"paired": {"kind": "paired"}}},
}  # page -> the rest of the config that its blocks are of
# Where a piece may belong: its place in a config, and what else the config has there.
ALONE = ["", "datasets", "datasets mine", "scenarios s", "scenarios u", "scenarios s split"]
ALONE += ["scenarios s label_subset", "scenarios u imbalance", "preprocess", "preprocess atac"]
ALONE += ["training", "tuning", "runs"]
ALONE += [f"datasets mine {key}" for key in references.parameters_of("own_files")]
PUBLISHED = {"path": None, "cell_type": None}
PLACES = [(place, {}) for place in ALONE]
PLACES += [
    ("datasets mine", PUBLISHED | {"loader": "covid_citeseq"}),
    ("datasets mine", PUBLISHED | {"from": "covid_citeseq_small"}),
    ("datasets mine path", {"rna": None, "adt": None}),
    ("scenarios s split", {"by": "donor"}),
]


def blocks():
    """Yield page, number and text of every YAML block."""
    for page in PAGES:
        found = FENCED.findall((REPOSITORY / page).read_text(encoding="utf-8"))
        for number, (language, text) in enumerate(found):
            if language == "yaml" and page != "docs/extending.md":
                # a comment alone in its line divides two ways to say it
                for part, way in enumerate(re.split(r"^# or$", text, flags=re.MULTILINE)):
                    yield pytest.param(page, way, id=f"{page}-{number}.{part}")


def pieces(page):
    """Yield the YAML of keys within the lines of a page, as text and as content."""
    text = FENCED.sub("", (REPOSITORY / page).read_text(encoding="utf-8"))
    for quoted in INLINE.findall(text):
        piece = " ".join(quoted.split())
        if path := PATH_OF_KEY.fullmatch(piece):  # a section and a key of it
            yield piece, {path[1]: {path[2]: None}}
            continue
        of_others = piece.partition(":")[0] in OF_OTHERS
        if of_others or not KEYS.match(piece) or PLACEHOLDER.fullmatch(piece):
            continue
        try:
            content = yaml.safe_load(piece)
        except yaml.YAMLError:
            content = yaml.safe_load(f"{{{piece}}}")  # some keys in a row
        if isinstance(content, dict):
            yield piece, content


def put(place, beside, content):
    """Return a minimal config with a piece at a place."""
    config = copy.deepcopy(MINIMAL)
    if not place:
        return config | content
    *path, last = place.split()
    at = config
    for key in path:
        at = at.setdefault(key, {})
    given = at.get(last) if isinstance(at.get(last), dict) else {}
    entries = given | beside | content
    at[last] = {key: value for key, value in entries.items() if value is not None}
    return config


def why_refused(config, folder):
    """Return the message about a config, "" if it is valid; the files that it names are there."""
    while True:
        try:
            settings.load(config)
        except UserError as error:
            absent = ABSENT.search(str(error))
            if not absent or (folder / absent[1]).exists():
                return str(error)
            (folder / absent[1]).parent.mkdir(exist_ok=True, parents=True)
            (folder / absent[1]).touch()
        else:
            return ""


@pytest.mark.parametrize(("page", "text"), blocks())
def test_a_block_is_a_valid_config_or_a_part_of_one(page, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load(text)
    around = MINIMAL | AROUND.get(page, {})
    assert not why_refused(copy.deepcopy(around | content), tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_yaml_within_a_line_is_valid_at_some_place_of_a_config(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for piece, content in pieces(page):
        if None in flat(content):  # a list of keys, not of values
            assert keys_of(content) <= ALL_KEYS, piece
            continue
        methods = [name for name in catalog.names("methods") if of_method(name, content)]
        places = PLACES + [("runs x", {"method": method}) for method in methods]
        configs = (put(*place, content) for place in places)
        assert any(not why_refused(config, tmp_path) for config in configs), piece


def of_method(name, content):
    return content.keys() <= catalog.hyperparameters(name).keys()


def flat(content):
    """Return all values of a mapping and of those in it."""
    found = []
    for value in content.values():
        found += flat(value) if isinstance(value, dict) else [value]
    return found


def keys_of(content):
    """Return the keys of a mapping and of those in it."""
    found = set(content)
    for value in content.values():
        found |= keys_of(value) if isinstance(value, dict) else set()
    return found


# --- what the FAQ writes is run ---

CELLS, GENES, PROTEINS = 120, 40, 8
EMPTY = {"rna": 5, "adt": 7}  # the cell without counts


@pytest.fixture
def own_files(tmp_path, monkeypatch):
    """Write files as the FAQ's reader has them, and a config that reads them."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    obs = pd.DataFrame(index=[f"cell-{number}" for number in range(CELLS)])
    obs["cell_type"] = np.tile(["B", "T", "NK", "unknown", "B", "doublet"], CELLS // 6)
    obs["donor"] = np.repeat(["P1", "P2", "P3"], CELLS // 3)
    parts = {}
    for name, features in (("rna", GENES), ("adt", PROTEINS)):
        means = np.exp(random.normal(1, 1, (6, features)))[np.arange(CELLS) % 6]
        names = [f"{name}-{number}" for number in range(features)]
        names[-1] = names[-1].replace("adt", "HTOA")  # kept, unless a key drops it
        var = pd.DataFrame(index=names)
        cells = anndata.AnnData(random.poisson(means).astype(np.float32), obs=obs, var=var)
        cells.X[EMPTY[name]] = 0
        if name == "rna":
            cells.layers["lognorm"] = np.log1p(cells.X)
        cells.layers["raw_counts"] = 2 * cells.X
        cells.write_h5ad(f"{name}.h5ad")
        parts[name] = cells
    mudata.MuData({"gex": parts["rna"], "prot": parts["adt"]}).write_h5mu("both.h5mu")
    (tmp_path / "table.tsv").write_text("rna\tadt\tsign\nrna-1\tadt-2\t1\n")
    return copy.deepcopy(MINIMAL) | {"datasets": {"mine": OWN | {"batch": "donor"}}}


def ran(config):
    """Prepare and split the dataset of a config; return it, and train cells and solution of scenarios but "u"."""
    bench, results = settings.load(config), Results("results")
    prepare.main(**jobs.prepare(bench, results, dataset="mine"))
    parts = {}
    for place in (place for place in bench.splits if place[1] != "u"):
        split.main(**jobs.split(bench, results, split=place, seeds=[0]))
        folder = results.split(*place, 0)
        parts[place[1]] = {
            name: read_split(f"{folder}/{name}.h5mu", name) for name in ("train", "solution")
        }
    return read_dataset(results.dataset("mine")), parts


def of_faq():
    for piece, content in pieces("docs/faq.md"):
        if None not in flat(content):
            yield pytest.param(content, id=piece)


@pytest.mark.parametrize("content", of_faq())
def test_what_the_faq_writes_within_a_line_runs(content, own_files, tmp_path):
    key = next(iter(content))
    stanza = own_files["datasets"]["mine"]
    if key == "modalities":
        stanza["path"] = "both.h5mu"
    if key == "batch":
        del stanza["batch"]
    if key == "cells":
        content = {"cells": CELLS // 2}  # the page's number is that of a larger file
    for place in ((), ("datasets", "mine"), ("scenarios", "s")):
        config = copy.deepcopy(own_files)
        at = config
        for name in place:
            at = at[name]
        at.update(copy.deepcopy(content))
        if not why_refused(config, tmp_path):
            break
    files = {name: anndata.read_h5ad(f"{name}.h5ad") for name in EMPTY}
    if "rounded_counts" in flat(content):
        files["rna"].X = 1.2 * files["rna"].X
        files["rna"].write_h5ad("rna.h5ad")
    dataset, parts = ran(config)
    assert_true(key, content[key], dataset, parts, files, config)


def assert_true(key, said, dataset, parts, files, config):
    """Assert what a key of the FAQ promises about the dataset and its splits."""
    types, donors = dataset.obs["cell_type"], dataset.obs["batch"]
    match key:
        case "scenarios":
            assert parts.keys() == {"own"} and set(parts["own"]["train"].mod) == {"rna", "adt"}
        case "absent":
            missing = dataset.obs_names.difference(dataset["adt"].obs_names)
            gone = files["adt"].obs["donor"] == "P2" if said["adt"] == ["P2"] else [EMPTY["adt"]]
            assert set(missing) == set(files["adt"].obs_names[gone])
        case "kind":
            train = parts["s"]["train"]
            paired = train["rna"].obs_names.intersection(train["adt"].obs_names)
            assert len(paired) == pytest.approx(
                config["scenarios"]["s"]["paired_fraction"] * len(train.obs), abs=1
            )
        case "labels_from":
            recorded = settings.load(config).config
            assert labels_from(recorded, "mine") == said
        case "unknown_labels":
            assert (types == "").sum() == CELLS / 6 and "unknown" not in set(types)
        case "dropped_types":
            assert len(types) == CELLS * 5 / 6 and "doublet" not in set(types)
        case "layers":
            assert_counts(dataset, "rna", files["rna"].layers[said["rna"]])
        case "values" if said == {"rna": "lognorm"}:
            assert dataset["rna"].uns["values"] == "lognorm"
        case "values":
            assert_counts(dataset, "rna", np.rint(files["rna"].X))
        case "kinds":
            assert dataset["adt"].uns["kind"] == "continuous"
        case "modalities":
            assert set(dataset.mod) == {"rna", "adt"}
            assert_counts(dataset, "adt", files["adt"].X)
        case "features":
            assert list(dataset["adt"].var_names) == list(files["adt"].var_names[:-1])
        case "links":
            assert links_between(dataset, "rna", "adt").nnz == 1
        case "batch":
            assert list(donors) == list(files["rna"].obs[said].loc[dataset.obs_names])
        case "split":
            held_out = donors[parts["s"]["solution"].obs_names]
            assert held_out.nunique() == 1 and len(held_out) == CELLS / 3
        case "cells":
            assert len(dataset.obs) == said < CELLS
        case "qc":
            assert set(dataset.mod) == {"rna", "adt"}
            assert set(files["rna"].obs_names).difference(dataset.obs_names) == {"cell-5"}
        case _:
            pytest.fail(f"nothing says what {key} promises")


def assert_counts(dataset, modality, expected):
    """Assert that a modality has these counts, cells x features as in its file."""
    names = [f"cell-{number}" for number in range(CELLS)]
    cells = dataset[modality]
    rows = [names.index(name) for name in cells.obs_names]
    columns = [int(name.rpartition("-")[2]) for name in cells.var_names]
    assert np.array_equal(cells.layers["counts"].toarray(), expected[np.ix_(rows, columns)])
