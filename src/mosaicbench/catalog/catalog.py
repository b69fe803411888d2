"""The methods, metrics, datasets and figures that there are: cards and hyperparameters, read as source text.

A file with a ``CARD`` *is* the method, metric, dataset or figure of its name: ``methods/scmodal.py`` is
method ``scmodal``. A file of several has ``CARDS``, id -> card, in the order of its classes: the last
class belongs to the last card. A card is a literal dict. A method's hyperparameters are the annotated
fields of its dataclass and of the base classes in this package, so the workflow knows them without
importing torch. A file is checked when its card is first read. Standard library only.

A figure of several forms is one function: its card has ``variants``, whose names are its ids (see
``cards.variants``).
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from mosaicbench.catalog import card_defaults
from mosaicbench.catalog import cards as contract
from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.errors import UserError, nearest

PACKAGE = Path(__file__).parents[1]
EXTERNAL = contract.EXTERNAL  # stands for the method of an external run
ROOMS = ("datasets", "methods", "metrics", "figures")
FOLDERS = {"methods": ("methods", "peers")}  # wrapped packages are methods, too
FUNCTIONS = {"datasets": "load", "data": "curated"}  # other functions are named like their id


@dataclass(frozen=True)
class Hyperparameter:
    """One keyword of a method: its annotation, its default, and the values to search, {} if there are none.

    A range to search is a dict in the annotation, ``Annotated[int, "at least 1", {"int": [8, 64], "log": True}]``.
    """

    annotation: str
    default: object
    space: dict = field(default_factory=dict)


@dataclass(frozen=True)
class _Entry:
    """One id: its file, card and function, the keywords of a variant, and its place from the file's end."""

    path: Path
    card: object
    function: str
    keywords: dict[str, object] = field(default_factory=dict)
    place: int = -1


@cache
def names(room: str) -> tuple[str, ...]:
    """Return the ids in a room ("methods", "metrics", "datasets", "figures")."""
    return tuple(_entries(room))


@cache
def card(room: str, name: str) -> dict:
    """Return the card of one id, with default values; for "external", the card of external runs.

    Raises
    ------
    UserError
        When there is no such id, or its file is wrong: with the file, the key and the nearest valid
        word.
    """
    if (room, name) == ("methods", contract.EXTERNAL):
        return contract.CARD_OF_EXTERNAL
    if name not in names(room):
        raise UserError(f"{room} has no {name!r}{nearest(name, names(room))}")
    entry = _entries(room)[name]
    file = _name(entry.path)
    where = file if name == entry.path.stem else f"{file}, {name}"
    if entry.card is None:
        raise UserError(f"{file}: no CARD and no CARDS; start the name of a helper file with '_'")
    stated = _with_ranges(name, entry.card) if room == "methods" else entry.card
    contract.check(room, where, stated)
    whole = contract.ABSENT.get(room, {}) | stated
    if room == "methods":
        whole = card_defaults.whole(whole, _functions(name))
        contract.check_method(where, whole)
        _check_method(name, whole)
    else:
        for need in parameters(room, name):
            if room == "metrics" and need not in contract.NEEDS:
                hint = nearest(need, contract.NEEDS)
                raise UserError(f"{file}: `{name}` has an unknown parameter {need!r}{hint}")
    return whole


def _with_ranges(method: str, card: object) -> object:
    """Return a card whose "space" is a dict, also where it only names hyperparameters with a range."""
    if not isinstance(card, dict) or not isinstance(card.get("space"), tuple):
        return card
    known = hyperparameters(method)
    space = {name: known[name].space if name in known else {} for name in card["space"]}
    return card | {"space": space}


def cards(room: str) -> dict[str, dict]:
    """Return id -> card of a whole room."""
    return {name: card(room, name) for name in names(room)}


@cache
def module(room: str, name: str) -> str:
    """Return the dotted name of the module of an id."""
    parts = _entries(room)[name].path.relative_to(PACKAGE).with_suffix("").parts
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
    return getattr(importlib.import_module(module("methods", method)), _method_class(method).name)


def documentation(method: str) -> tuple[str, str]:
    """Return the docstrings of a method's file and of its class."""
    path, definition = _lineage(method)[-1]
    return tuple(ast.get_docstring(node) or "" for node in (_tree(path), definition))


@cache
def refusals(method: str) -> tuple[ast.FunctionDef, ...]:
    """Return each ``__post_init__`` of a method's bases and class, which refuses some hyperparameters."""
    definitions = [definition for _, definition in _lineage(method)]
    return tuple(
        node
        for node in _nodes(definitions, ast.FunctionDef, private=True)
        if node.name == "__post_init__"
    )


@cache
def parameters(room: str, name: str, beside: str = "") -> dict[str, Hyperparameter]:
    """Return the parameters of the function of a metric, dataset or figure, without a variant's keywords.

    The function is named like the id (``load`` for a dataset); `beside` asks for a further one, as
    in :func:`stands_beside`.

    Raises
    ------
    UserError
        When there is no such function, or a variant names an unknown parameter.
    """
    entry = _entries(room)[name]
    function = _function(entry.path, _called(entry, beside))
    arguments, defaults = [*function.args.args, *function.args.kwonlyargs], _defaults(function)
    there = {a.arg: Hyperparameter(_text(a.annotation), defaults.get(a.arg)) for a in arguments}
    for keyword in entry.keywords:
        if keyword not in there:
            raise UserError(
                f"{_name(entry.path)}, {name}: function `{function.name}` has no parameter "
                f"{keyword!r}{nearest(keyword, there)}"
            )
    return {key: there[key] for key in there if key not in entry.keywords}


@cache
def function(room: str, name: str, beside: str = "") -> Callable:
    """Import and return the function of a metric or figure; its keywords are :func:`parameters`."""
    entry = _entries(room)[name]
    call = getattr(importlib.import_module(module(room, name)), _called(entry, beside))
    return partial(call, **entry.keywords)


def stands_beside(metric: str, beside: str) -> bool:
    """Return whether a metric has a further function, such as ``foscttm_by_cell`` for "by_cell"."""
    entry = _entries("metrics")[metric]
    called = _called(entry, beside)
    return any(node.name == called for node in _public(entry.path, ast.FunctionDef))


def _called(entry: _Entry, beside: str) -> str:
    return f"{entry.function}_{beside}" if beside else entry.function


@cache
def _entries(room: str) -> dict[str, _Entry]:
    """Return every id of a room, sorted as if each had a file."""
    entries: dict[str, _Entry] = {}
    folders = FOLDERS.get(room, (room,))
    for path in sorted(p for folder in folders for p in (PACKAGE / folder).rglob("[!_]*.py")):
        of_file, cards = {}, _cards(path)
        for place, (name, card) in enumerate(cards.items()):
            if room == "figures" and isinstance(card, dict) and "variants" in card:
                forms = contract.variants(card, _defaults(_function(path, name)))
                for form, (differs, keywords) in forms.items():
                    of_file[form] = _Entry(path, differs, name, keywords)
            else:
                called = FUNCTIONS.get(room, name)
                of_file[name] = _Entry(path, card, called, place=place - len(cards))
        if twice := sorted(set(entries) & set(of_file)):
            raise UserError(
                f"{_name(path)}: {room} has {', '.join(twice)} already, in another file"
            )
        entries |= of_file
    return dict(sorted(entries.items(), key=lambda item: item[1].path.with_name(f"{item[0]}.py")))


@cache
def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise UserError(
            f"{_name(path)}, line {error.lineno}: not readable as Python: {error.msg}"
        ) from error


def _name(path: Path) -> str:
    """Return how messages name a file of the package."""
    return str(path.relative_to(PACKAGE.parent))


def _cards(path: Path) -> dict[str, object]:
    """Return id -> card of a file; a file with neither CARD nor CARDS has None under its name."""
    assigned = {}
    for node in _tree(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("CARD", "CARDS"):
                assigned[name] = _literal(node.value, f"{_name(path)}: {name}")
    return card_defaults.of_file(_name(path), path.stem, assigned)


def _literal(value: ast.expr, what: str) -> object:
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError) as error:
        code = [node for node in ast.walk(value) if isinstance(node, ast.Name | ast.Call)]
        culprit = next(iter(code), value)
        raise UserError(
            f"{what} is read without running the file, so write it out in texts, numbers, tuples, "
            f"lists and dicts; line {culprit.lineno} has `{ast.unparse(culprit)}`"
        ) from error


def _method_class(method: str) -> ast.ClassDef:
    entry = _entries("methods")[method]
    classes, ids = _public(entry.path, ast.ClassDef), len(_cards(entry.path))
    if len(classes) < ids:
        raise UserError(
            f"{_name(entry.path)}: {len(classes)} public classes for {ids} cards; the last classes "
            "of the file are the methods, in the order of their cards"
        )
    definition = classes[entry.place]
    if not any("dataclass" in ast.unparse(decorator) for decorator in definition.decorator_list):
        raise UserError(
            f"{_name(entry.path)}: class {definition.name} needs `@dataclass(kw_only=True)`: its "
            "fields are the hyperparameters"
        )
    return definition


@cache
def _lineage(method: str) -> tuple[tuple[Path, ast.ClassDef], ...]:
    """Return a method's class after its base classes in this package, each with its file."""
    return tuple(_ancestry(_entries("methods")[method].path, _method_class(method)))


def _ancestry(path: Path, definition: ast.ClassDef) -> list[tuple[Path, ast.ClassDef]]:
    lineage = []
    for base in definition.bases:
        if isinstance(base, ast.Name) and (home := _definition(path, base.id)):
            lineage += _ancestry(*home)
    return [*lineage, (path, definition)]


def _definition(path: Path, name: str) -> tuple[Path, ast.ClassDef] | None:
    """Return the file and the definition of a class that `path` calls `name`, None if another package has it."""
    for node in _tree(path).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return path, node
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            package, *parts = (node.module or "").split(".")
            home = PACKAGE.joinpath(*parts).with_suffix(".py")
            if package == PACKAGE.name:
                if home.is_file() and (definition := _definition(home, name)):
                    return definition
                raise UserError(
                    f"{_name(path)}, line {node.lineno}: {node.module} has no class {name!r}"
                )
    return None


def _functions(method: str) -> set[str]:
    """Return the names of the functions of a method's class and of its bases in this package."""
    definitions = [definition for _, definition in _lineage(method)]
    return {node.name for node in _nodes(definitions, ast.FunctionDef, private=True)}


def _check_method(method: str, card: dict) -> None:
    """Refuse a search space or a class that does not fit a card."""
    path, definition = _lineage(method)[-1]
    defaults = {name: one.default for name, one in hyperparameters(method).items()}
    if fault := spaces.fault(card.get("space", {}), defaults):
        raise UserError(f"{_name(path)}: CARD, key 'space': {fault}")
    bases = {ast.unparse(base) for _, one in _lineage(method) for base in one.bases}
    if bases - {one.name for _, one in _lineage(method)}:
        return  # the functions of another package's class are unknown here
    needed = {card_defaults.PARTS_OF[word]: f"output {word!r}" for word in card["outputs"]}
    needed |= {"fit": "every method"}
    needed |= {"reveal": "input 'solution'"} if "solution" in card["inputs"] else {}
    needed |= {"generate": "'generates'"} if "generates" in card["tested_for"] else {}
    for part, what in needed.items():
        if part not in _functions(method):
            raise UserError(
                f"{_name(path)}: class {definition.name} lacks `{part}`: {what} needs it"
            )


def _nodes(trees: list[ast.AST], kind: type, *, private: bool = False) -> list:
    """Return the classes or functions that modules or classes define."""
    nodes = [node for tree in trees for node in tree.body if isinstance(node, kind)]
    return [node for node in nodes if private or not node.name.startswith("_")]


def _public(path: Path, kind: type) -> list:
    return _nodes([_tree(path)], kind)


def _function(path: Path, name: str) -> ast.FunctionDef:
    functions = {node.name: node for node in _public(path, ast.FunctionDef)}
    if name not in functions:
        raise UserError(f"{_name(path)}: no function `{name}`{nearest(name, functions)}")
    return functions[name]


def _defaults(function: ast.FunctionDef) -> dict[str, object]:
    """Return parameter -> default, of those with one."""
    arguments = function.args
    with_default = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    pairs = [*zip(with_default, arguments.defaults, strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {argument.arg: ast.literal_eval(value) for argument, value in pairs if value is not None}


def _fields(path: Path, definition: ast.ClassDef) -> dict[str, Hyperparameter]:
    fields = {}
    for node in definition.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            what = f"{_name(path)}: the default of {definition.name}.{node.target.id}"
            if node.value is None:
                raise UserError(f"{what} is missing; a hyperparameter has one, in its class alone")
            annotation, ranges = _text(node.annotation), _ranges(node.annotation)
            for values in ranges:
                annotation = annotation.replace(f", {ast.unparse(values)}", "")
            space = ast.literal_eval(ranges[0]) if ranges else {}
            fields[node.target.id] = Hyperparameter(annotation, _literal(node.value, what), space)
    return fields


def _ranges(annotation: ast.expr) -> list[ast.Dict]:
    return [node for node in ast.walk(annotation) if isinstance(node, ast.Dict)]


def _text(annotation: ast.expr | None) -> str:
    return "" if annotation is None else ast.unparse(annotation)
