"""The code of a job: one file that lists the SHA-256 of all files of this package that it imports.

Snakemake does not notice that an imported module changed, so every rule has this one file as an
input. Standard library only.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mosaicbench.files.atomic import write_text

ROOT = Path(__file__).parents[2]
PACKAGE = "mosaicbench"
# An import of this package as formatted code has it: a statement that begins its line, with a list in parentheses or without.
STATEMENT = re.compile(
    rf"^[ \t]*((?:from|import)[ \t]+{PACKAGE}\b(?:[^\n(;\\]*\([^)]*\)|[^\n(;\\]*))[ \t]*$",
    re.MULTILINE,
)
OTHERWISE = re.compile(rf"\b(?:from|import)\b[^\n]*(?:\b{PACKAGE}\b|\\$)", re.MULTILINE)


def stamp(
    folder: str | Path, command: str, modules: Sequence[str] = (), files: Sequence[str] = ()
) -> str:
    """Return the file that lists the code of a command, modules and files; write it if it changed.

    The same code gives the same bytes on every machine. `modules` have dotted names, `files` are
    paths in this package.
    """
    read = [Path(file) for file in of(f"mosaicbench.commands.{command}", *modules)]
    read += [ROOT / PACKAGE / file for file in files]
    lines = [f"{digest(file)}  {file.relative_to(ROOT).as_posix()}\n" for file in read]
    named = hashlib.sha256(" ".join(sorted(modules)).encode()).hexdigest()[:12]
    path = Path(folder, f"{command}-{named}.txt" if modules else f"{command}.txt")
    if not path.is_file() or path.read_text(encoding="utf-8") != "".join(lines):
        write_text(path, "".join(lines))
    return str(path)


@cache
def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


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
    names = []
    for node in ast.walk(_import_statements(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == PACKAGE and _path(name).is_file()]


def _import_statements(text: str) -> ast.Module:
    """Return the imports of this package, or the whole file where one may be unusual."""
    if not OTHERWISE.search(STATEMENT.sub("", text)):
        try:
            return ast.parse("\n".join(STATEMENT.findall(text)))
        except SyntaxError:  # such as a parenthesis in a comment within a list
            pass
    return ast.parse(text)


def _path(module: str) -> Path:
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    file = getattr(sys.modules.get(module), "__file__", None) or path
    outside = ROOT not in Path(file).parents  # of a method that `challenge` was given
    return Path(file) if outside else path
