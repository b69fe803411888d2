"""What there is: every card and every hyperparameter, read from source text without importing it.

A file with a ``CARD`` *is* the method, metric, dataset or figure of its name: ``methods/scmodal.py`` is method ``scmodal``.
A file of several has ``CARDS`` instead, id -> card, in the order of its classes: the last class belongs to the last card. A card
is a literal dict, and a method's hyperparameters are the annotated fields of its dataclass and of those it inherits from, so
the workflow knows them without importing torch. Standard library only.

A figure of several forms may be one function: its card has ``variants``, and their names are its ids (see ``cards.variants``).
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from mosaicbench.catalog import card_defaults
from mosaicbench.catalog import cards as contract
from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.errors import UserError, nearest

PACKAGE = Path(__file__).parents[1]
EXTERNAL = contract.EXTERNAL  # in the place of a method
ROOMS = (
    "datasets",
    "methods",
    "metrics",
    "figures",
)  # the shelves: folders of things with cards
FOLDERS = {"methods": ("methods", "peers")}  # wrapped packages are methods, too
FUNCTIONS = {"datasets": "load", "data": "curated"}  # elsewhere a function is called like its id


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
    """One id: its file, card and function, the keywords by which a variant asks that, and its place from the file's end."""

    path: Path
    card: object
    function: str
    keywords: dict[str, object] = field(default_factory=dict)
    place: int = -1


@cache
def check() -> None:
    """Refuse the first wrong file of any room, before anything runs.

    Raises
    ------
    UserError
        Says the file, the key and the nearest valid word.
    """
    for room in ROOMS:
        for name, entry in _entries(room).items():
            if entry.card is None:
                raise UserError(
                    f"{_name(entry.path)}: no CARD and no CARDS; a file without that only helps others has a name that starts "
                    "with '_'"
                )
            card(room, name)
            if room == "methods":
                _check_space(name, hyperparameters(name))
                _check_parts(name)
            elif room == "metrics":
                _check_needs(name)
            else:
                parameters(room, name)


@cache
def names(room: str) -> tuple[str, ...]:
    """Return the ids in a room ("methods", "metrics", "datasets", "figures"): those of its public files that carry a card."""
    return tuple(name for name, entry in _entries(room).items() if entry.card is not None)


@cache
def card(room: str, name: str) -> dict:
    """Return the card of one id of a room; of "elsewhere", which is no method, what is true of results from a file.

    Raises
    ------
    UserError
        When there is no such id, or its card is wrong.
    """
    if (room, name) == ("methods", contract.EXTERNAL):
        return contract.CARD_OF_EXTERNAL
    if name not in names(room):
        raise UserError(f"{room} has no {name!r}{nearest(name, names(room))}")
    entry = _entries(room)[name]
    where = _name(entry.path) if name == entry.path.stem else f"{_name(entry.path)}, {name}"
    stated = _with_ranges(name, entry.card) if room == "methods" else entry.card
    contract.check(room, where, stated)
    whole = contract.ABSENT.get(room, {}) | stated
    if room == "methods":
        whole = card_defaults.whole(whole, _functions(name))
        contract.check_method(where, whole)
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
    """Return the dotted module name of the file that holds an id of a room."""
    return "mosaicbench." + ".".join(
        _entries(room)[name].path.relative_to(PACKAGE).with_suffix("").parts
    )


@cache
def hyperparameters(method: str) -> dict[str, Hyperparameter]:
    """Return the keywords that a method accepts, its own after those it inherits."""
    found: dict[str, Hyperparameter] = {}
    for path, definition in _lineage(method):
        found |= _fields(path, definition)
    return found


def method_class(method: str) -> type:
    """Import and return the class of a method."""
    return getattr(importlib.import_module(module("methods", method)), _method_class(method).name)


def documentation(method: str) -> tuple[str, str]:
    """Return the docstrings of a method's file and of its class."""
    path, definition = _lineage(method)[-1]
    return tuple(ast.get_docstring(node) or "" for node in (_tree(path), definition))


@cache
def refusals(method: str) -> tuple[ast.FunctionDef, ...]:
    """Return the ``__post_init__`` of a method's class, after those of its bases: what it refuses of its hyperparameters."""
    return tuple(node for node in _functions_of(_lineage(method)) if node.name == "__post_init__")


@cache
def parameters(room: str, name: str, beside: str = "") -> dict[str, Hyperparameter]:
    """Return what the function of a metric, dataset or figure needs: its parameters, less the keywords of a variant.

    It is called like the id (``load`` of a dataset); `beside` names one beside it, as in :func:`stands_beside`.

    Raises
    ------
    UserError
        When there is no such function, or a variant names a parameter that it does not have.
    """
    entry = _entries(room)[name]
    function = _function(entry.path, _called(entry, beside))
    arguments, defaults = [*function.args.args, *function.args.kwonlyargs], _defaults(function)
    known = {a.arg: Hyperparameter(_text(a.annotation), defaults.get(a.arg)) for a in arguments}
    for parameter in entry.keywords:
        if parameter not in known:
            hint = nearest(parameter, known)
            raise UserError(
                f"{_name(entry.path)}, {name}: function `{function.name}` has no parameter {parameter!r}{hint}"
            )
    return {key: known[key] for key in known if key not in entry.keywords}


@cache
def function(room: str, name: str, beside: str = "") -> Callable:
    """Import and return the function of a metric or figure; it takes what :func:`parameters` names, by keyword."""
    entry = _entries(room)[name]
    call = getattr(importlib.import_module(module(room, name)), _called(entry, beside))
    return partial(call, **entry.keywords)


def stands_beside(metric: str, beside: str) -> bool:
    """Say whether a metric has a further function, such as ``foscttm_by_cell`` for "by_cell"."""
    entry = _entries("metrics")[metric]
    return any(node.name == _called(entry, beside) for node in _public_functions(entry.path))


def _called(entry: _Entry, beside: str) -> str:
    return f"{entry.function}_{beside}" if beside else entry.function


@cache
def _entries(room: str) -> dict[str, _Entry]:
    """Return every id of a room, sorted as if each had a file."""
    found: dict[str, _Entry] = {}
    folders = FOLDERS.get(room, (room,))
    for path in sorted(p for folder in folders for p in (PACKAGE / folder).rglob("[!_]*.py")):
        made, cards = {}, _cards(path)
        for place, (name, card) in enumerate(cards.items()):
            if room == "figures" and isinstance(card, dict) and "variants" in card:
                forms = contract.variants(_name(path), card, _defaults(_function(path, name)))
                made |= {
                    form: _Entry(path, own, name, keywords)
                    for form, (own, keywords) in forms.items()
                }
            else:
                called = FUNCTIONS.get(room, name)
                made[name] = _Entry(path, card, called, place=place - len(cards))
        if twice := set(found) & set(made):
            raise UserError(
                f"{_name(path)}: {room} has {', '.join(sorted(twice))} already, in another file"
            )
        found |= made
    return dict(sorted(found.items(), key=lambda item: item[1].path.with_name(f"{item[0]}.py")))


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
    """Return id -> card of a file: what ``CARDS`` has, or ``CARD`` under the file's name, which is None where there is neither."""
    found = {}
    for node in _tree(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("CARD", "CARDS"):
                found[name] = _written_out(node.value, f"{_name(path)}: {name}")
    return card_defaults.of_file(_name(path), path.stem, found)


def _written_out(value: ast.expr, what: str) -> object:
    """Return the value of a literal."""
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError) as error:
        culprit = next((part for part in _parts_of(value) if not _is_literal(part)), value)
        raise UserError(
            f"{what} is read without running the file, so it has to be written out in texts, numbers, tuples, lists and dicts; "
            f"line {culprit.lineno} has `{ast.unparse(culprit)}`"
        ) from error


def _parts_of(value: ast.expr) -> list[ast.expr]:
    return (
        [*value.keys, *value.values]
        if isinstance(value, ast.Dict) and None not in value.keys
        else [value]
    )


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError):
        return False
    return True


def _class(path: Path, name: str) -> ast.ClassDef:
    """Return a class that a file defines."""
    classes = {node.name: node for node in _classes(path)}
    if name not in classes:
        raise UserError(
            f"{_name(path)}: defines no class {name!r}, which a method derives from{nearest(name, classes)}"
        )
    return classes[name]


def _method_class(method: str) -> ast.ClassDef:
    """Return the class of a method, a dataclass: the last public one of its file, or that in the place of its card."""
    entry = _entries("methods")[method]
    classes, ids = _classes(entry.path), len(_cards(entry.path))
    if len(classes) < ids:
        few = f"{len(classes)} public classes for {ids} CARDS" if ids > 1 else "no public class"
        raise UserError(
            f"{_name(entry.path)}: {few}; the last ones of the file are the methods, in the order of their cards"
        )
    found = classes[entry.place]
    if not any("dataclass" in ast.unparse(decorator) for decorator in found.decorator_list):
        raise UserError(
            f"{_name(entry.path)}: class {found.name} needs `@dataclass(kw_only=True)`: its fields are the hyperparameters"
        )
    return found


@cache
def _lineage(method: str) -> tuple[tuple[Path, ast.ClassDef], ...]:
    """Return a method's class after those of this package that it derives from, each with its file."""
    return tuple(_ancestry(_entries("methods")[method].path, _method_class(method)))


def _ancestry(path: Path, definition: ast.ClassDef) -> list[tuple[Path, ast.ClassDef]]:
    found = []
    for base in definition.bases:
        if isinstance(base, ast.Name) and (home := _home(path, base.id)) is not None:
            found += _ancestry(home, _class(home, base.id))
    return [*found, (path, definition)]


def _functions_of(lineage: Sequence[tuple[Path, ast.ClassDef]]) -> list[ast.FunctionDef]:
    return [
        node
        for _, definition in lineage
        for node in definition.body
        if isinstance(node, ast.FunctionDef)
    ]


def _functions(method: str) -> set[str]:
    """Return the names of the functions that a method's class defines or inherits from this package."""
    return {node.name for node in _functions_of(_lineage(method))}


def _check_needs(metric: str) -> None:
    """Refuse a metric that needs what the scorer does not know: it would never be asked."""
    for need in parameters("metrics", metric):
        if need not in contract.NEEDS:
            file, hint = _name(_entries("metrics")[metric].path), nearest(need, contract.NEEDS)
            raise UserError(
                f"{file}: the parameter {need!r} of `{metric}` is nothing that the scorer knows{hint}"
            )


def _check_space(method: str, known: dict[str, Hyperparameter]) -> None:
    """Refuse values to search that the method does not have, or of which its default is none."""
    searched = card("methods", method).get("space", {})
    if fault := spaces.fault(searched, {name: one.default for name, one in known.items()}):
        raise UserError(f"{_name(_entries('methods')[method].path)}: CARD, key 'space': {fault}")


def _check_parts(method: str) -> None:
    """Refuse a method whose class lacks what its card promises."""
    promises = card("methods", method)
    needed = {"fit": "every method has it"} | {
        card_defaults.PARTS_OF[word]: f"its card gives {word!r}" for word in promises["outputs"]
    }
    needed |= {"reveal": "its card uses 'solution'"} if "solution" in promises["inputs"] else {}
    needed |= (
        {"generate": "its card claims 'generates'"} if "generates" in promises["tested_for"] else {}
    )
    lineage = _lineage(method)
    known = {definition.name for _, definition in lineage}
    if {ast.unparse(base) for _, definition in lineage for base in definition.bases} - known:
        return  # what a class of another package has is not known here
    path, definition = lineage[-1]
    for part, why in needed.items():
        if part not in _functions(method):
            raise UserError(f"{_name(path)}: class {definition.name} has no method `{part}`: {why}")


def _classes(path: Path) -> list[ast.ClassDef]:
    return [
        node
        for node in _tree(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def _public_functions(path: Path) -> list[ast.FunctionDef]:
    return [
        node
        for node in _tree(path).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]


def _function(path: Path, name: str) -> ast.FunctionDef:
    functions = {node.name: node for node in _public_functions(path)}
    if name not in functions:
        hint = nearest(name, functions) if functions else ""
        raise UserError(f"{_name(path)}: no function `{name}`{hint}")
    return functions[name]


def _defaults(function: ast.FunctionDef) -> dict[str, object]:
    """Return the parameters of a function that have a default, and the defaults."""
    arguments, defaults = function.args, function.args.defaults
    pairs = [*zip(arguments.args[len(arguments.args) - len(defaults) :], defaults, strict=True)]
    pairs += [
        pair
        for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if pair[1] is not None
    ]
    return {argument.arg: ast.literal_eval(default) for argument, default in pairs}


def _fields(path: Path, definition: ast.ClassDef) -> dict[str, Hyperparameter]:
    """Return the annotated fields of a class, in order."""
    found = {}
    for node in definition.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            what = f"{_name(path)}: the default of {definition.name}.{node.target.id}"
            if node.value is None:
                raise UserError(
                    f"{what} is missing: a hyperparameter has one, in its class and nowhere else"
                )
            annotation, ranges = _text(node.annotation), _ranges(node.annotation)
            for values in ranges:
                annotation = annotation.replace(f", {ast.unparse(values)}", "")
            space = ast.literal_eval(ranges[0]) if ranges else {}
            default = _written_out(node.value, what)
            found[node.target.id] = Hyperparameter(annotation, default, space)
    return found


def _ranges(annotation: ast.expr) -> list[ast.Dict]:
    return [node for node in ast.walk(annotation) if isinstance(node, ast.Dict)]


def _home(path: Path, name: str) -> Path | None:
    """Return the file of this package that defines the class that `path` calls `name`."""
    if any(node.name == name for node in _classes(path)):
        return path
    for node in _tree(path).body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            parts = (node.module or "").split(".")
            if parts[0] == PACKAGE.name:
                home = PACKAGE.joinpath(*parts[1:]).with_suffix(".py")
                if not home.is_file():
                    raise UserError(
                        f"{_name(path)}, line {node.lineno}: there is no module {node.module}"
                    )
                return home
    return None


def _text(annotation: ast.expr | None) -> str:
    return "" if annotation is None else ast.unparse(annotation)
