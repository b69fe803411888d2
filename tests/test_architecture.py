"""Who may import whom: the boundaries that make a file's imports its rerun key."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from conftest import REPOSITORY

from mosaicbench import catalog, rooms, sources

PACKAGE = REPOSITORY / "src/mosaicbench"
# room or file -> (what it may import of the package, which other packages it may import)
ALLOWED = {
    "errors": (set(), set()),
    "sources": (set(), set()),
    "rooms": (set(), set()),
    "cards": ({"errors"}, set()),
    "spaces": ({"errors"}, set()),
    "catalog": ({"cards", "errors", "spaces"}, set()),
    "layout": (set(), set()),
    "view": (set(), {"numpy", "scipy"}),
    "meter": (set(), {"psutil"}),
    "registry": ({"config_checks", "errors", "layout"}, set()),
    "download": ({"errors"}, {"requests", "urllib3", "tqdm"}),
    "wheels": ({"download", "errors", "registry"}, set()),
    "value_types": (set(), set()),
    "config_checks": ({"errors", "spaces", "value_types"}, {"jsonschema", "yaml"}),
    "elsewhere": ({"config_checks", "errors"}, set()),
    "report_choices": ({"catalog", "errors"}, set()),
    "together": ({"catalog", "layout"}, set()),
    "tuning_choices": ({"catalog", "errors", "spaces"}, set()),
    "applies": ({"catalog"}, set()),
    "settings": (
        {
            "applies",
            "catalog",
            "config_checks",
            "elsewhere",
            "errors",
            "layout",
            "registry",
            "report_choices",
            "together",
            "tuning_choices",
        },
        set(),
    ),
    "files": (
        {"errors", "view", "files"},
        {"numpy", "pandas", "scipy", "h5py", "anndata", "mudata"},
    ),
    "data": (
        {"errors", "files", "data"},
        {
            "numpy",
            "scipy",
            "pandas",
            "sklearn",
            "h5py",
            "rdata",
            "anndata",
            "mudata",
            "scanpy",
            "bioframe",
        },
    ),
    "datasets": (
        {"errors", "files", "data", "datasets"},
        {"numpy", "scipy", "pandas", "h5py", "rdata", "anndata", "mudata", "scanpy"},
    ),
    "modeling": ({"errors", "view", "modeling"}, {"numpy", "torch", "tqdm"}),
    "plain": ({"errors"}, {"numpy"}),
    "methods": (
        {"errors", "view", "modeling", "methods", "plain"},
        {"numpy", "scipy", "sklearn", "torch", "harmonypy"},
    ),
    "metrics": (
        {"metrics"},
        {"numpy", "scipy", "sklearn", "numba", "threadpoolctl", "jax", "scib_metrics"},
    ),
    "scoring": ({"catalog", "errors", "files", "metrics", "scoring"}, {"numpy", "pandas"}),
    "statistics": ({"files", "statistics"}, {"numpy", "pandas", "scipy"}),
    "report": (
        {"catalog", "errors", "files", "layout", "report", "spaces", "statistics"},
        {"numpy", "pandas", "matplotlib", "PIL", "jinja2", "yaml", "jsonschema"},
    ),
    "figures": ({"report", "statistics", "figures"}, {"numpy", "pandas", "matplotlib"}),
    "fitting": (
        {"errors", "files", "fitting", "meter", "plain", "sources", "view"},
        {"numpy", "pandas", "scipy", "anndata", "mudata", "psutil"},
    ),
    "tuning": (
        {"catalog", "files", "fitting", "meter", "scoring", "spaces", "statistics", "tuning"},
        {"numpy", "optuna", "pandas"},
    ),
    "cluster": ({"errors"}, set()),
    "attempts": ({"cluster", "errors", "files"}, set()),
    "jobs": ({"catalog", "errors", "layout"}, set()),
    "listing": ({"catalog", "rooms", "spaces"}, set()),
    "arguments": ({"catalog", "errors", "layout", "settings"}, set()),
    "resources": ({"catalog", "layout"}, {"pandas"}),
    "stamps": ({"files", "sources"}, set()),
    "applying": (
        {
            "applying",
            "catalog",
            "config_checks",
            "data",
            "errors",
            "files",
            "fitting",
            "metrics",
            "view",
        },
        {"anndata", "h5py", "mudata", "numpy", "pandas", "scipy"},
    ),
    "commands": (
        {
            "errors",
            "files",
            "view",
            "data",
            "applying",
            "fitting",
            "scoring",
            "metrics",
            "statistics",
            "report",
        }
        | {
            "catalog",
            "registry",
            "download",
            "wheels",
            "meter",
            "layout",
            "resources",
            "commands",
            "sources",
            "spaces",
            "tuning",
        },
        {
            "numpy",
            "pandas",
            "scipy",
            "igraph",
            "sklearn",
            "scanpy",
            "numba",
            "umap",
            "anndata",
            "mudata",
            "matplotlib",
            "yaml",
        },
    ),
    "api": ({"applying", "errors", "scoring"}, set()),
    "cli": ({"arguments", "attempts", "errors", "jobs", "listing"}, set()),
    "__main__": ({"cli"}, set()),
}
# command -> what it is made of beside itself: an edit there, and nowhere else, repeats its jobs. Of `files`, which files;
# of the other rooms, any. The workflow adds the method, metric, dataset or figure of the job, and what that imports.
OF_VIEWS = {
    "errors",
    "view",
    "files/_h5",
    "files/atomic",
    "files/dataset",
    "files/place",
    "files/tables",
    "files/views",
}
OF_RUNS = OF_VIEWS | {"files/runs"}
OF_SCORES = OF_RUNS | {"files/scores"}
OF_TABLES = OF_SCORES | {"files/trials"}
OF_IMPUTING = OF_RUNS | {"files/digests", "files/models", "fitting", "plain", "sources"}
OF_APPLYING = OF_VIEWS - {"files/tables"} | {
    "applying",
    "data",
    "files/models",
    "fitting",
    "metrics",
    "plain",
    "sources",
}
KEYS = {
    "fetch": {
        "spaces",
        "config_checks",
        "data",
        "download",
        "errors",
        "files/atomic",
        "layout",
        "registry",
        "value_types",
        "wheels",
    },
    "prepare": {
        "cards",
        "catalog",
        "spaces",
        "data",
        "errors",
        "files/_h5",
        "files/atomic",
        "files/dataset",
    },
    "cut": OF_VIEWS | {"data"},
    "divide": OF_VIEWS - {"files/tables"} | {"data"},
    "tune": OF_RUNS
    | {
        "cards",
        "catalog",
        "files/best",
        "files/trials",
        "fitting",
        "meter",
        "metrics",
        "plain",
        "scoring",
    }
    | {"files/digests", "files/models"}
    | {"sources", "spaces", "statistics", "tuning"},
    "fit": OF_IMPUTING | {"files/best", "meter"},
    "impute": OF_IMPUTING | {"layout"},
    "adopt": OF_RUNS | {"fitting", "sources"},
    "score": OF_SCORES | OF_IMPUTING | {"cards", "catalog", "spaces", "metrics", "scoring"},
    "project": OF_IMPUTING | {"metrics", "report"},
    "generate": OF_RUNS
    | {"files/generated", "files/models"}
    | {"cards", "catalog", "spaces", "fitting", "metrics", "plain", "report", "scoring", "sources"},
    "tabulate": OF_TABLES
    | {
        "files/best",
        "cards",
        "catalog",
        "spaces",
        "resources",
        "layout",
        "meter",
        "report",
        "statistics",
    },
    "draw": OF_TABLES | {"cards", "catalog", "spaces", "report", "statistics"},
    "typeset": OF_TABLES | {"cards", "catalog", "spaces", "report", "statistics"},
    "report": OF_TABLES
    | {
        "cards",
        "catalog",
        "spaces",
        "config_checks",
        "layout",
        "registry",
        "report",
        "statistics",
        "value_types",
    },
    "compare": OF_TABLES
    | {"files/config", "cards", "catalog", "spaces", "layout", "report", "statistics"},
    "plan": OF_VIEWS - {"view", "files/views"}
    | {
        "cards",
        "catalog",
        "spaces",
        "data",
        "resources",
        "layout",
    }
    | {"config_checks", "registry", "value_types"},
    "run": {"errors", "layout"},
    "race": OF_TABLES
    | {"files/config", "cards", "catalog", "spaces", "layout", "report", "statistics"},
    "cite": OF_TABLES
    | {
        "cards",
        "catalog",
        "spaces",
        "config_checks",
        "layout",
        "registry",
        "report",
        "statistics",
        "value_types",
    }
    | {"files/config"},
    "leaderboard": OF_TABLES
    | {"files/config", "cards", "catalog", "spaces", "layout", "report", "statistics"},
    "recommend": OF_TABLES | {"cards", "catalog", "spaces", "layout", "report", "statistics"},
    "apply": OF_APPLYING | {"files/tables", "layout"},
    "score_latents": {
        "cards",
        "catalog",
        "spaces",
        "errors",
        "files/_h5",
        "files/atomic",
        "files/place",
        "files/tables",
    }
    | {"metrics", "scoring"},
    "integrate": OF_APPLYING
    | {"files/tables", "layout"}
    | {"cards", "catalog", "config_checks", "spaces", "value_types"},
}
OF_ENTRY = {
    "fit": ("methods", {"modeling"}),
    "score": ("metrics", set()),
    "prepare": ("datasets", {"data"}),
}
OF_ENTRY |= {
    "draw": ("figures", {"report"})
}  # command -> the shelf of which a job takes one file, and what that may import
# what files of methods/peers may use besides, where it is installed
PEERS = {
    "anndata",
    "maxfuse",
    "mofapy2",
    "mudata",
    "muon",
    "networkx",
    "ot",
    "pandas",
    "scanpy",
    "scglue",
    "scvi",
}
PEERS |= {
    "lightning",
    "matilda",
    "moscot",
    "multigrate",
    "multivae",
    "scconfluence",
    "scmidas",
    "scmomat",
    "torchvision",
}
PEERS |= {"scButterfly", "scVAEIT", "tensorflow", "uniport", "univi"}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_room_may(path):
    imported, packages = rooms.imports(path)
    may_import, may_use = ALLOWED[rooms.room(path)]
    if path.parent == PACKAGE / "methods/peers":
        may_use = may_use | PEERS
    assert imported <= may_import, f"imports {imported - may_import}"
    assert packages <= may_use, f"uses {packages - may_use}"


def test_the_rooms_form_no_cycle():
    graph = {name: may - {name} for name, (may, _) in ALLOWED.items()}
    assert TopologicalSorter(graph).static_order()
    list(TopologicalSorter(graph).static_order())


def test_init_files_compute_nothing():
    for path in PACKAGE.rglob("__init__.py"):
        body = [
            n
            for n in ast.parse(path.read_text()).body
            if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
        ]
        if path.parent == PACKAGE:  # what a notebook asks for is imported when it is asked for
            body = [
                n for n in body if not (isinstance(n, ast.FunctionDef) and n.name == "__getattr__")
            ]
        assert all(ast.unparse(node).startswith("__version__") for node in body), path


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import mosaicbench; print(*sorted(set(sys.modules) - before))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["mosaicbench"]


def key_of(*modules):
    """Return the rooms, and files of `files`, that a job of these modules depends on, without the commands themselves."""
    files = [Path(file).relative_to(PACKAGE).with_suffix("") for file in sources.of(*modules)]
    rooms = {file.as_posix() if file.parts[0] == "files" else file.parts[0] for file in files}
    return rooms - {"commands"}


def test_every_command_has_its_key():
    commands = {
        path.stem for path in PACKAGE.glob("commands/*.py") if not path.stem.startswith("_")
    }
    assert {command: key_of(f"mosaicbench.commands.{command}") for command in commands} == KEYS


@pytest.mark.parametrize("command", OF_ENTRY)
def test_what_a_job_takes_from_a_shelf_adds_no_other_room_to_its_key(command):
    shelf, may_import = OF_ENTRY[command]
    for name in catalog.names(shelf):
        key = key_of(f"mosaicbench.commands.{command}", catalog.module(shelf, name))
        assert key <= KEYS[command] | {shelf} | may_import, name


def test_scheduling_cannot_repeat_a_fit():
    """What a job asks of a cluster, how attempts are judged, what a killed one is called: outside every fit's key."""
    methods = [catalog.module("methods", name) for name in catalog.names("methods")]
    assert not key_of("mosaicbench.commands.fit", *methods) & {
        "cluster",
        "attempts",
        "jobs",
        "cli",
        "settings",
        "catalog",
    }


def test_editing_a_metric_cannot_retrain_a_method():
    fit = set(sources.of("mosaicbench.commands.fit", "mosaicbench.methods.mvae"))
    assert not any("/metrics/" in file or "/report/" in file or "/data/" in file for file in fit)
    assert any(file.endswith("modeling/training.py") for file in fit)
    assert not any(file.endswith("methods/mmvaepp.py") for file in fit)


def test_a_baseline_does_not_depend_on_what_models_are_made_of():
    assert not any(
        "/modeling/" in file
        for file in sources.of("mosaicbench.commands.fit", "mosaicbench.methods.ridge")
    )


def test_sources_follow_imports_inside_functions():
    assert any(file.endswith("files/runs.py") for file in sources.of("mosaicbench.commands.fit"))


def imported(tree):
    """Return the modules of the package that statements import, and what they import from them."""
    modules = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    of = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [f"{node.module}.{alias.name}" for node in of for alias in node.names]
    return {name for name in modules if name.startswith("mosaicbench")}


def test_imports_found_by_their_lines_are_those_of_the_whole_code():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 300
    for path in files:
        text = path.read_text()
        assert imported(sources._import_statements(text)) == imported(ast.parse(text)), path


@pytest.mark.parametrize(
    "text",
    [
        "import os; from mosaicbench import errors",
        "if True: from mosaicbench import errors",
        "import os, mosaicbench.errors",
        "import os, \\\n    mosaicbench.errors",
        "from mosaicbench \\\n    import errors",
        "from mosaicbench import (\n    cards,  # (literals)\n    errors,\n)",
        "def later():\n\tfrom mosaicbench import errors as e  # on demand",
        "from mosaicbench import cards; from mosaicbench import errors",
    ],
)
def test_an_import_in_another_form_is_found_too(tmp_path, text):
    (tmp_path / "file.py").write_text(text)
    assert "mosaicbench.errors" in sources._imports(tmp_path / "file.py")


def test_nothing_names_a_machine_or_a_registry():
    """No home folder and no package index in anything that ships."""
    places = re.compile(r"/(?:home|root|Users|work)/|pypi\.|/simple/?\b")
    for path in [
        p
        for p in REPOSITORY.rglob("*")
        if p.suffix in {".py", ".smk", ".yaml", ".md", ".toml", ".txt"}
    ]:
        parts = path.relative_to(REPOSITORY).parts
        if not {".venv", ".venvs", ".snakemake", "results", "logs", "tests"} & set(parts):
            assert not places.search(path.read_text()), path


def test_everything_that_reaches_a_shell_is_quoted():
    commands = re.findall(
        r"^ +shell:\n((?: +\".*\n)+)",
        "".join(p.read_text() for p in REPOSITORY.glob("workflow/rules/*.smk")),
        re.M,
    )
    assert len(commands) > 10
    words = [
        word
        for command in commands
        for word in re.findall(r"\{((?:params|input|output|log|wildcards)\b[^}]*)\}", command)
    ]
    assert [word for word in words if not word.endswith(":q")] == []
