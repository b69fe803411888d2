"""What there is: every card and every hyperparameter, read from source text without importing it.

Discovery is by file name: ``methods/mvae.py`` *is* method ``mvae``. A card is a literal dict, and a method's hyperparameters
are the annotated fields of its dataclass and of those it inherits from, so the workflow knows them without importing torch.
Standard library only.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
ROOMS = ("datasets", "methods", "metrics", "figures")  # the shelves: folders in which one file is one thing with a card


@dataclass(frozen=True)
class Hyperparameter:
    """One keyword of a method: its annotation as written, and its default."""

    annotation: str
    default: object


@cache
def names(room: str) -> tuple[str, ...]:
    """Return the ids in a room ("methods", "metrics", "datasets", "figures"): its public files that carry a card."""
    return tuple(name for name, path in _files(room).items() if _card(path) is not None)


@cache
def card(room: str, name: str) -> dict:
    """Return the CARD of one file of a room.

    Raises
    ------
    KeyError
        When there is no such file, or it has no card.
    """
    found = _card(_files(room)[name]) if name in _files(room) else None
    if found is None:
        raise KeyError(f"{room} has no {name!r}; there are {', '.join(names(room))}")
    return found


def cards(room: str) -> dict[str, dict]:
    """Return id -> CARD of a whole room."""
    return {name: card(room, name) for name in names(room)}


@cache
def module(room: str, name: str) -> str:
    """Return the dotted module name of one file of a room."""
    return "mosaicbench." + ".".join(_files(room)[name].relative_to(PACKAGE).with_suffix("").parts)


@cache
def hyperparameters(method: str) -> dict[str, Hyperparameter]:
    """Return the keywords that a method accepts, its own after those it inherits."""
    path = _files("methods")[method]
    return _fields(path, _classes(path)[-1].name)


@cache
def parameters(room: str, name: str) -> dict[str, Hyperparameter]:
    """Return the parameters of the public function in a metric's, dataset's or figure's file."""
    function = _public_functions(_files(room)[name])[-1]
    arguments = [*function.args.args, *function.args.kwonlyargs]
    defaults = [None] * (len(function.args.args) - len(function.args.defaults)) + list(function.args.defaults)
    pairs = zip(arguments, [*defaults, *function.args.kw_defaults], strict=True)
    return {a.arg: Hyperparameter(_text(a.annotation), _literal(default)) for a, default in pairs}


@cache
def _files(room: str) -> dict[str, Path]:
    paths = sorted((PACKAGE / room).rglob("*.py"))
    return {path.stem: path for path in paths if not path.stem.startswith("_")}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _card(path: Path) -> dict | None:
    for node in _tree(path).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "CARD" for t in node.targets):
            return ast.literal_eval(node.value)
    return None


def _classes(path: Path) -> list[ast.ClassDef]:
    return [node for node in _tree(path).body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def _public_functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in _tree(path).body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def _fields(path: Path, class_name: str) -> dict[str, Hyperparameter]:
    """Collect annotated fields of a class after those of its in-package bases, in order of definition."""
    definition = next(node for node in _classes(path) if node.name == class_name)
    found: dict[str, Hyperparameter] = {}
    for base in definition.bases:
        if isinstance(base, ast.Name) and (home := _home(path, base.id)) is not None:
            found |= _fields(home, base.id)
    for node in definition.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = Hyperparameter(_text(node.annotation), _literal(node.value))
    return found


def _home(path: Path, name: str) -> Path | None:
    """Return the file of this package that defines the class that `path` calls `name`."""
    if any(node.name == name for node in _classes(path)):
        return path
    for node in _tree(path).body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            parts = (node.module or "").split(".")
            if parts[0] == PACKAGE.name:
                return PACKAGE.joinpath(*parts[1:]).with_suffix(".py")
    return None


def _text(annotation: ast.expr | None) -> str:
    return "" if annotation is None else ast.unparse(annotation)


def _literal(value: ast.expr | None) -> object:
    return None if value is None else ast.literal_eval(value)
