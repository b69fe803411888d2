"""Who may import whom: the boundaries that make a file's imports its rerun key."""

import ast
import re
import sys
from graphlib import TopologicalSorter

import pytest
from conftest import REPOSITORY

from mosaicbench import sources

PACKAGE = REPOSITORY / "src/mosaicbench"
STANDARD_LIBRARY = sys.stdlib_module_names
# room or file -> (what it may import of the package, which other packages it may import)
ALLOWED = {
    "errors": (set(), set()),
    "sources": (set(), set()),
    "cards": ({"errors"}, set()),
    "catalog": ({"cards", "errors"}, set()),
    "layout": (set(), set()),
    "view": (set(), {"numpy", "scipy"}),
    "meter": (set(), {"psutil"}),
    "registry": ({"errors", "layout"}, {"jsonschema", "yaml"}),
    "download": ({"errors"}, {"requests", "urllib3", "tqdm"}),
    "settings": ({"catalog", "errors", "layout", "registry"}, {"jsonschema", "yaml"}),
    "files": ({"errors", "view", "files"}, {"numpy", "pandas", "scipy", "anndata", "mudata"}),
    "data": (
        {"errors", "files", "data"},
        {"numpy", "scipy", "pandas", "sklearn", "h5py", "rdata", "anndata", "mudata", "scanpy", "muon"},
    ),
    "datasets": (
        {"errors", "files", "data", "datasets"},
        {"numpy", "scipy", "pandas", "h5py", "rdata", "anndata", "mudata", "scanpy"},
    ),
    "modeling": ({"errors", "view", "modeling"}, {"numpy", "torch", "tqdm"}),
    "methods": (
        {"errors", "view", "modeling", "methods"},
        {"numpy", "scipy", "sklearn", "torch", "harmonypy"},
    ),
    "metrics": ({"metrics"}, {"numpy", "scipy", "sklearn", "numba"}),
    "scoring": ({"catalog", "metrics"}, {"numpy", "pandas"}),
    "statistics": ({"files", "statistics"}, {"numpy", "pandas", "scipy", "statsmodels"}),
    "report": (
        {"catalog", "errors", "files", "layout", "report", "statistics"},
        {"numpy", "pandas", "matplotlib", "PIL", "jinja2", "yaml", "jsonschema"},
    ),
    "figures": ({"report", "statistics", "figures"}, {"numpy", "pandas", "matplotlib"}),
    "cluster": ({"errors"}, set()),
    "expenses": ({"catalog", "errors", "layout"}, {"h5py", "pandas"}),
    "commands": (
        {"errors", "files", "view", "data", "scoring", "metrics", "statistics", "report", "catalog", "registry", "download"}
        | {"meter", "sources", "cluster", "expenses", "layout", "commands"},
        {"numpy", "pandas", "psutil", "igraph", "sklearn", "scanpy", "anndata", "mudata", "matplotlib", "yaml"},
    ),
    "cli": ({"catalog", "errors", "layout", "settings"}, set()),
    "__main__": ({"cli"}, set()),
}
# what files of methods/peers may use besides, where it is installed
PEERS = {"anndata", "maxfuse", "mofapy2", "mudata", "muon", "networkx", "ot", "pandas", "scanpy", "scglue", "scvi"}
PEERS |= {"lightning", "multivae", "scmidas", "torchvision", "uniport", "univi"}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def room(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path):
    """Return (rooms of the package, other packages) that a file imports, outside type checking."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    rooms, packages = set(), set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide where a name comes from"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, *rest = name.split(".")
            if first == "mosaicbench":
                rooms |= {rest[0]} - {"__version__"}
            elif first not in STANDARD_LIBRARY:
                packages.add(first)
    return rooms, packages


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_room_may(path):
    rooms, packages = imports(path)
    may_import, may_use = ALLOWED[room(path)]
    if path.parent == PACKAGE / "methods/peers":
        may_use = may_use | PEERS
    assert rooms <= may_import, f"imports {rooms - may_import}"
    assert packages <= may_use, f"uses {packages - may_use}"


def test_the_rooms_form_no_cycle():
    graph = {name: may - {name} for name, (may, _) in ALLOWED.items()}
    assert TopologicalSorter(graph).static_order()
    list(TopologicalSorter(graph).static_order())


def test_init_files_compute_nothing():
    for path in PACKAGE.rglob("__init__.py"):
        body = [
            n for n in ast.parse(path.read_text()).body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
        ]
        assert all(ast.unparse(node).startswith("__version__") for node in body), path


def test_editing_a_metric_cannot_retrain_a_method():
    fit = set(sources.of("mosaicbench.commands.fit", "mosaicbench.methods.mvae"))
    assert not any("/metrics/" in file or "/report/" in file or "/data/" in file for file in fit)
    assert any(file.endswith("modeling/training.py") for file in fit)
    assert not any(file.endswith("methods/mmvaepp.py") for file in fit)


def test_a_baseline_does_not_depend_on_what_models_are_made_of():
    assert not any("/modeling/" in file for file in sources.of("mosaicbench.commands.fit", "mosaicbench.methods.ridge"))


def test_sources_follow_imports_inside_functions():
    assert any(file.endswith("files/runs.py") for file in sources.of("mosaicbench.commands.fit"))


def test_nothing_names_a_machine_or_a_registry():
    """No home folder and no package index in anything that ships."""
    places = re.compile(r"/(?:home|root|Users|work)/|pypi\.|/simple/?\b")
    for path in [p for p in REPOSITORY.rglob("*") if p.suffix in {".py", ".smk", ".yaml", ".md", ".toml", ".txt"}]:
        parts = path.relative_to(REPOSITORY).parts
        if not {".venv", ".snakemake", "results", "logs", "tests"} & set(parts):
            assert not places.search(path.read_text()), path
