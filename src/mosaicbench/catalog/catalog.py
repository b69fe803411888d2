"""The methods, metrics, datasets and figures: cards and hyperparameters, read as source text.

A file with a ``CARD`` *is* the method, metric, dataset or figure of its name. A file of several has
``CARDS``, id -> card, in the order of its classes: the last class belongs to the last card. A
method's hyperparameters are the annotated fields of its dataclass and of the base classes in this
package, so the workflow knows them without importing torch. A file is checked when its card is
first read. Standard library only.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path

from mosaicbench.catalog import card_defaults
from mosaicbench.catalog import cards as contract
from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.errors import UserError, nearest

PACKAGE = Path(__file__).parents[1]
EXTERNAL = contract.EXTERNAL  # the method of an external run
ROOMS = ("datasets", "methods", "metrics", "figures")
FOLDERS = {"methods": ("methods", "peers")}  # wrapped packages are methods, too
ADDED: list[Path] = []  # files of methods outside of the package
FUNCTIONS = {"datasets": "load", "data": "curated"}  # other functions are named like their id


@dataclass(frozen=True)
class Hyperparameter:
    """A keyword of a method: annotation, default, and the range to search, {} without any."""

    annotation: str
    default: object
    space: dict = field(default_factory=dict)


@dataclass(frozen=True)
class _Entry:
    """One id: file, card, function, and place from the file's end."""

    path: Path
    card: object
    function: str
    place: int


@cache
def names(room: str) -> tuple[str, ...]:
    """Return the ids in a room ("methods", "metrics", "datasets", "figures")."""
    return tuple(_entries(room))


def add_method(path: Path) -> list[str]:
    """Make a file outside of the package a method of this process; return the ids of its cards."""
    if path.suffix != ".py" or not path.is_file():
        raise UserError(f"{path}: no such .py file; name that of a method")
    there = {**_entries("methods")}
    importlib.import_module(f"{PACKAGE.name}.methods").__path__.append(str(path.resolve().parent))
    ADDED.append(path.resolve())
    names.cache_clear()
    _entries.cache_clear()
    return [name for name in names("methods") if name not in there]


@cache
def card(room: str, name: str) -> dict:
    """Return the card of one id, with default values; for "external", the card of external runs.

    An unknown id and a wrong file are refused, with file, key and nearest valid word.
    """
    if (room, name) == ("methods", EXTERNAL):
        return contract.CARD_OF_EXTERNAL
    if name not in names(room):
        raise UserError(f"{room} has no {name!r}{nearest(name, names(room))}")
    entry = _entries(room)[name]
    file = _name(entry.path)
    where = file if name == entry.path.stem else f"{file}, {name}"
    contract.check(room, where, entry.card)
    if room == "methods":
        return _card_of_method(name, where, entry.card)
    for need in parameters(room, name):
        if room == "metrics" and need not in contract.NEEDS:
            hint = nearest(need, contract.NEEDS)
            raise UserError(f"{file}: `{name}` has an unknown parameter {need!r}{hint}")
    return contract.ABSENT.get(room, {}) | entry.card


def _card_of_method(name: str, where: str, card: dict) -> dict:
    functions = {function.name for function in _functions(name)}
    whole = card_defaults.whole(card, functions)
    contract.check_method(where, whole, functions)
    known = hyperparameters(name)
    if "space" in card:
        whole["space"] = {key: known[key].space if key in known else {} for key in card["space"]}
        defaults = {key: one.default for key, one in known.items()}
        if fault := spaces.fault(whole["space"], defaults):
            raise UserError(f"{where}: CARD, key 'space': {fault}")
    return whole


def cards(room: str) -> dict[str, dict]:
    """Return id -> card of a whole room."""
    return {name: card(room, name) for name in names(room)}


@cache
def module(room: str, name: str) -> str:
    """Return the dotted name of the module of an id."""
    path = _entries(room)[name].path
    inside = Path(room, path.name) if path in ADDED else path.relative_to(PACKAGE)
    parts = inside.with_suffix("").parts
    return ".".join([PACKAGE.name, *parts])


@cache
def hyperparameters(method: str) -> dict[str, Hyperparameter]:
    """Return the keywords that a method accepts, inherited ones first."""
    fields: dict[str, Hyperparameter] = {}
    for path, definition in _lineage(method):
        fields |= _fields(path, definition)
    return fields


def method_class(method: str) -> type:
    """Import and return the class of a method."""
    return getattr(importlib.import_module(module("methods", method)), _lineage(method)[-1][1].name)


def documentation(method: str) -> tuple[str, str]:
    """Return the docstrings of a method's file and of its class."""
    path, definition = _lineage(method)[-1]
    return tuple(ast.get_docstring(node) or "" for node in (_tree(path), definition))


def refusals(method: str) -> tuple[ast.FunctionDef, ...]:
    """Return each ``__post_init__`` of a method's bases and class, which refuses some values."""
    return tuple(node for node in _functions(method) if node.name == "__post_init__")


@cache
def parameters(room: str, name: str, beside: str = "") -> dict[str, Hyperparameter]:
    """Return the parameters of the function of an id, or of one beside it (:func:`stands_beside`).

    Raise a `UserError` if there is no such function.
    """
    entry = _entries(room)[name]
    function = _function(entry.path, _called(entry, beside))
    arguments, defaults = [*function.args.args, *function.args.kwonlyargs], _defaults(function)
    return {a.arg: Hyperparameter(_text(a.annotation), defaults.get(a.arg)) for a in arguments}


@cache
def function(room: str, name: str, beside: str = "") -> Callable:
    """Import and return the function of a metric or figure; its keywords are :func:`parameters`."""
    called = _called(_entries(room)[name], beside)
    return getattr(importlib.import_module(module(room, name)), called)


def stands_beside(metric: str, beside: str) -> bool:
    """Return whether a metric has a further function, such as ``foscttm_by_cell`` for "by_cell"."""
    entry = _entries("metrics")[metric]
    return _called(entry, beside) in _public(entry.path, ast.FunctionDef)


def _called(entry: _Entry, beside: str) -> str:
    return f"{entry.function}_{beside}" if beside else entry.function


@cache
def _entries(room: str) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    folders = [(PACKAGE / folder).rglob("[!_]*.py") for folder in FOLDERS.get(room, (room,))]
    added = ADDED if room == "methods" else []
    for path in [*sorted(chain.from_iterable(folders)), *added]:
        cards = _cards(path)
        if twice := sorted(set(entries) & set(cards)):
            raise UserError(f"{_name(path)}: another file has the id {', '.join(twice)}")
        for place, (name, card) in enumerate(cards.items(), -len(cards)):
            entries[name] = _Entry(path, card, FUNCTIONS.get(room, name), place)
    return dict(sorted(entries.items(), key=lambda item: item[1].path.with_name(f"{item[0]}.py")))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _name(path: Path) -> str:
    return str(path if path in ADDED else path.relative_to(PACKAGE.parent))


def _cards(path: Path) -> dict[str, object]:
    """Return id -> card of a file; a file with neither CARD nor CARDS has None under its name."""
    assigned = {}
    for node in _tree(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("CARD", "CARDS"):
            name = ast.unparse(node.targets[0])
            assigned[name] = _literal(node.value, f"{_name(path)}: {name}")
    return card_defaults.of_file(_name(path), path.stem, assigned)


def _literal(value: ast.expr, what: str) -> object:
    try:
        return ast.literal_eval(value)
    except ValueError as error:  # with the line
        raise UserError(
            f"{what} is read without running the file, so write it out in texts, numbers, tuples, "
            f"lists and dicts: {error}"
        ) from error


@cache
def _lineage(method: str) -> tuple[tuple[Path, ast.ClassDef], ...]:
    entry = _entries("methods")[method]
    classes, ids = list(_public(entry.path, ast.ClassDef).values()), len(_cards(entry.path))
    if len(classes) < ids:
        raise UserError(
            f"{_name(entry.path)}: {len(classes)} public classes for {ids} cards; the last classes "
            "of the file are the methods, in the order of their cards"
        )
    return tuple(_ancestry(entry.path, classes[entry.place]))


def _ancestry(path: Path, definition: ast.ClassDef) -> list[tuple[Path, ast.ClassDef]]:
    lineage = []
    for base in definition.bases:
        if home := _definition(path, ast.unparse(base)):
            lineage += _ancestry(*home)
    return [*lineage, (path, definition)]


def _definition(path: Path, name: str) -> tuple[Path, ast.ClassDef] | None:
    for node in _tree(path).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return path, node
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            package, *parts = (node.module or "").split(".")
            if package == PACKAGE.name:
                return _definition(PACKAGE.joinpath(*parts).with_suffix(".py"), name)
    return None


@cache
def _functions(method: str) -> tuple[ast.FunctionDef, ...]:
    nodes = chain.from_iterable(definition.body for _, definition in _lineage(method))
    return tuple(node for node in nodes if isinstance(node, ast.FunctionDef))


def _public(path: Path, kind: type) -> dict[str, ast.AST]:
    nodes = [node for node in _tree(path).body if isinstance(node, kind)]
    return {node.name: node for node in nodes if not node.name.startswith("_")}


def _function(path: Path, name: str) -> ast.FunctionDef:
    functions = _public(path, ast.FunctionDef)
    if name not in functions:
        raise UserError(f"{_name(path)}: no function `{name}`{nearest(name, functions)}")
    return functions[name]


def _defaults(function: ast.FunctionDef) -> dict[str, object]:
    arguments = function.args
    with_default = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    pairs = [*zip(with_default, arguments.defaults, strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {argument.arg: ast.literal_eval(value) for argument, value in pairs if value is not None}


def _fields(path: Path, definition: ast.ClassDef) -> dict[str, Hyperparameter]:
    fields = {}
    for node in definition.body:
        if isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target)
            what = f"{_name(path)}: the default of {definition.name}.{name}"
            if node.value is None:
                raise UserError(f"{what} is missing; a hyperparameter has one, in its class alone")
            annotation, space = _text(node.annotation), {}
            for values in ast.walk(node.annotation):
                if isinstance(values, ast.Dict):
                    annotation = annotation.replace(f", {ast.unparse(values)}", "")
                    space = ast.literal_eval(values)
            annotation = re.sub(r"Annotated\[(\w+)\]", r"\1", annotation)  # it had a range alone
            fields[name] = Hyperparameter(annotation, _literal(node.value, what), space)
    return fields


def _text(annotation: ast.expr | None) -> str:
    return "" if annotation is None else ast.unparse(annotation)
