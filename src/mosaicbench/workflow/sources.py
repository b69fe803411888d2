"""Which files of this package can change what a module computes: the rerun key of a job.

Neither Snakemake's shell rules nor its scripts notice that an imported module changed. So every rule takes as input the files
of the modules that its job runs, and all they import from this package, read from source text. Standard library only.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "mosaicbench"
# An import of this package as formatted code has it: a statement that begins its line, with a list in parentheses or without.
STATEMENT = re.compile(
    rf"^[ \t]*((?:from|import)[ \t]+{PACKAGE}\b(?:[^\n(;\\]*\([^)]*\)|[^\n(;\\]*))[ \t]*$",
    re.MULTILINE,
)
OTHERWISE = re.compile(rf"\b(?:from|import)\b[^\n]*(?:\b{PACKAGE}\b|\\$)", re.MULTILINE)


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
    for node in ast.walk(_import_statements(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == PACKAGE and _path(name).is_file()]


def _import_statements(text: str) -> ast.Module:
    """Return the statements of a file that import this package; the whole file where one may be written in another way.

    Every start of Snakemake asks this of some 200 files, and reading all their code took .5 s of it.
    """
    if not OTHERWISE.search(STATEMENT.sub("", text)):
        try:
            return ast.parse("\n".join(STATEMENT.findall(text)))
        except SyntaxError:  # such as a parenthesis in a comment within a list
            pass
    return ast.parse(text)


def _path(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")
