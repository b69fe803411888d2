"""Types and ranges of single values, as annotations in code state them, held against what a config gives.

A range stands in the annotation, in words::

    latent: Annotated[int, "at least 1"] = 20
    validation: Annotated[float, "at least 0 and below 1"] = 0.1

Annotations are read as text, so nothing is imported to know them. Standard library only.
"""

from __future__ import annotations

import ast
import math
import operator
from functools import cache

SIMPLE = {
    "int": int,
    "float": (int, float),
    "str": str,
    "bool": bool,
    "None": type(None),
    "dict": dict,
}
BOUNDS = {
    "at least": operator.ge,
    "at most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}
IN_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "None": "null",
}
IN_WORDS |= {"dict": "a mapping"}
LONGEST = 120  # signs of a value in a message


def fault(value: object, annotation: str) -> str:
    """Return what is wrong with a value, "" where it is of its annotation: "expected a number above 0, found -1".

    Parameters
    ----------
    value
        As YAML gives it.
    annotation
        Source text of a type, such as ``Annotated[float, "above 0"] | None``. A type that YAML does not have is not judged.
    """
    expected = _parsed(annotation)
    if fits(value, expected):
        return ""
    return f"expected {_described(expected)}, found {shown(value)}{_hint(value, expected)}"


def shown(value: object) -> str:
    """Return how a message shows a value: as Python writes it, shortened."""
    try:
        text = repr(value)
    except (
        ValueError,
        RecursionError,
    ):  # an integer of thousands of digits, a list that holds itself
        return f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def range_fault(annotation: str) -> str:
    """Return what is wrong with the ranges that an annotation states, "" where they can be read."""
    for node in ast.walk(_parsed(annotation)) if annotation else ():
        match node:
            case ast.Subscript(
                value=ast.Name(id="Annotated"),
                slice=ast.Tuple(elts=[_, ast.Constant(value=str(words))]),
            ):
                try:
                    _bounds(words)
                except ValueError:
                    return f"{words!r} is no range; write such as 'at least 0 and below 1', out of {', '.join(BOUNDS)}"
    return ""


def fits(value: object, expected: ast.expr) -> bool:
    """Return whether a value is of an annotation; a type that no YAML has is left to whoever takes the value."""
    match expected:
        case ast.BinOp(left=left, right=right):
            return fits(value, left) or fits(value, right)
        case ast.Subscript(
            value=ast.Name(id="Annotated"),
            slice=ast.Tuple(elts=[inner, ast.Constant(value=str(words))]),
        ):
            return fits(value, inner) and all(
                BOUNDS[word](value, number) for word, number in _bounds(words)
            )
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            return any(
                type(value) is type(choice) and value == choice for choice in _choices(choices)
            )
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, each])):
            return isinstance(value, dict) and all(fits(one, each) for one in value.values())
        case ast.Subscript(
            value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[each, ast.Constant(value=end)])
        ) if end is ...:
            return isinstance(value, list | tuple) and all(fits(one, each) for one in value)
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=parts)):
            whole = isinstance(value, list | tuple) and len(value) == len(parts)
            return whole and all(map(fits, value, parts))
        case ast.Subscript(value=ast.Name(id="list" | "Sequence"), slice=each):
            return isinstance(value, list | tuple) and all(fits(one, each) for one in value)
        case ast.Name() | ast.Constant() if (name := ast.unparse(expected)) in SIMPLE:
            return (
                isinstance(value, SIMPLE[name])
                and not (isinstance(value, bool) and name != "bool")
                and value != ""
            )
    return True


def _choices(node: ast.expr) -> tuple:
    return ast.literal_eval(
        ast.Tuple(elts=node.elts if isinstance(node, ast.Tuple) else [node], ctx=ast.Load())
    )


@cache
def _parsed(annotation: str) -> ast.expr:
    return ast.parse(annotation, mode="eval").body


@cache
def _bounds(words: str) -> tuple[tuple[str, float], ...]:
    """Return ("at least", 0.0), ("below", 1.0) of "at least 0 and below 1"; a ValueError where it is no range."""
    found = []
    for part in words.split(" and "):
        word, _, number = part.rpartition(" ")
        if word not in BOUNDS:
            raise ValueError(words)
        found.append((word, float(number)))
    return tuple(found)


def _described(expected: ast.expr) -> str:
    match expected:
        case ast.BinOp(left=left, right=right):
            return f"{_described(left)} or {_described(right)}"
        case ast.Subscript(
            value=ast.Name(id="Annotated"),
            slice=ast.Tuple(elts=[inner, ast.Constant(value=str(words))]),
        ):
            between = " of " if words.startswith("at") else " "
            return f"{_described(inner)}{between}{words}"
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            given = _choices(choices)
            return f"one of {', '.join(map(str, given))}" if len(given) > 1 else repr(given[0])
        case ast.Subscript(
            value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[each, ast.Constant(value=end)])
        ) if end is ...:
            return f"a list of {_described(each)}"
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=parts)):
            return f"a list of {len(parts)}: {', '.join(map(_described, parts))}"
        case ast.Subscript(value=ast.Name(id="list" | "Sequence"), slice=each):
            return f"a list of {_described(each)}"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, each])):
            return f"a mapping from names to {_described(each)}"
    name = ast.unparse(expected)
    return IN_WORDS.get(name, name)


def _hint(value: object, expected: ast.expr) -> str:
    """Return what to write where YAML took a number for text, as it does with 1e-3 and with what stands in quotes."""
    number = as_number(value)
    possible = [] if number is None else [number, int(number)] if number.is_integer() else [number]
    right = next((one for one in possible if fits(one, expected)), None)
    return "" if right is None else f"; YAML reads this as text, write {right!r}"


def as_number(value: object) -> float | None:
    """Return the finite number that a text spells, None where it spells none."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
