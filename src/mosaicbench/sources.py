"""Which files of this package can change what a module computes: the rerun key of a job.

Neither Snakemake's shell rules nor its scripts notice that an imported module changed. So every rule takes as input the files
of the modules that its job runs, and all they import from this package, read from source text. Standard library only.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "mosaicbench"


def of(*modules: str) -> list[str]:
    """Return the files of `modules` and of everything that they import from this package, sorted.

    A package's ``__init__.py`` is left out: here they hold a docstring and nothing that computes.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(_path(name))
    return sorted(str(_path(name)) for name in found)


@cache
def _imports(path: Path) -> list[str]:
    """Return the modules of this package that a file imports, anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == PACKAGE and _path(name).is_file()]


def _path(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")
