"""Who may import whom, and what an edit repeats."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from importlinter.cli import lint_imports

from mosaicbench.catalog import catalog
from mosaicbench.workflow import code_hash

PACKAGE = REPOSITORY / "src/mosaicbench"
# What the imports of a command, its key, may not reach: an edit there repeats none of its jobs.
SCIENCE = {"methods", "models", "metrics", "fitting", "scoring", "data", "datasets", "tuning"}
BEYOND = {"cli", "config", "api", "workflow/cluster", "workflow/attempts"}
NAMED = ("files", "workflow", "fitting")  # rooms of which a key names the files
KEYS = {
    "prepare": SCIENCE - {"data", "datasets"} | {"report", "stats", "figures"},
    "split": SCIENCE - {"data"} | {"report", "stats", "figures"},
    "split_inner": SCIENCE - {"data"} | {"report", "stats", "figures"},
    "fit": {"metrics", "scoring", "data", "report", "stats", "figures", "tuning"},
    "score": SCIENCE - {"metrics", "scoring"} | {"report", "stats", "figures"},
    "tabulate": SCIENCE - {"metrics", "models", "scoring"},  # estimates of runs without truth
    "draw": SCIENCE,
    "report": SCIENCE,
}
SHELVES = {"fit": "methods", "score": "metrics", "prepare": "datasets", "draw": "figures"}


def test_imports_keep_the_contracts_of_pyproject(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert lint_imports(no_cache=True) == 0, "run: lint-imports"


def test_init_files_compute_nothing():
    for path in PACKAGE.rglob("__init__.py"):
        statements = map(ast.unparse, ast.parse(path.read_text()).body)
        allowed = ("__version__", "__all__", "'", '"')
        if path.parent == PACKAGE:  # what a notebook asks for is imported when it is asked for
            allowed += ("def __getattr__", "def __dir__")
        assert all(statement.startswith(allowed) for statement in statements), path


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import mosaicbench; print(*sorted(set(sys.modules) - before))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["mosaicbench"]


def key_of(*modules):
    """Return the rooms and files that a job of these modules depends on, without the commands themselves."""
    files = [Path(file).relative_to(PACKAGE).with_suffix("") for file in code_hash.of(*modules)]
    return {file.as_posix() if file.parts[0] in NAMED else file.parts[0] for file in files} - {
        "commands"
    }


@pytest.mark.parametrize("command", KEYS)
def test_the_key_of_a_command_reaches_only_what_decides_its_files(command):
    shelf = SHELVES.get(command)
    things = [catalog.module(shelf, name) for name in catalog.names(shelf)] if shelf else []
    key = key_of(f"mosaicbench.commands.{command}", *things)
    allowed = {"config"} if command == "report" else set()  # it reads the registry
    assert not key & (KEYS[command] | BEYOND - allowed)


def test_an_edit_of_another_method_repeats_no_fit():
    of_model = code_hash.of("mosaicbench.commands.fit", "mosaicbench.methods.mvae")
    of_model = {Path(file).relative_to(PACKAGE).as_posix() for file in of_model}
    assert {"models/training.py", "files/runs.py"} <= of_model  # the second within a function
    assert "methods/mmvaepp.py" not in of_model
    of_baseline = code_hash.of("mosaicbench.commands.fit", "mosaicbench.methods.linear")
    models = {Path(file).stem for file in of_baseline if "/models/" in file}
    assert models <= {"estimators"}  # how a model is saved


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
    assert len(files) > 100
    for path in files:
        text = path.read_text()
        assert imported(code_hash._import_statements(text)) == imported(ast.parse(text)), path


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
    assert "mosaicbench.errors" in code_hash._imports(tmp_path / "file.py")


def test_nothing_names_a_machine_or_a_registry():
    """No home folder and no package index in anything that ships."""
    places = re.compile(r"/(?:home|root|Users|work)/|\.\./shared|pypi\.|/simple/?\b")
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
    assert len(commands) == 10
    words = [
        word
        for command in commands
        for word in re.findall(r"\{((?:params|input|output|log|wildcards)\b[^}]*)\}", command)
    ]
    assert [word for word in words if not word.endswith(":q")] == []
