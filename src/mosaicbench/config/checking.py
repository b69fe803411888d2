"""Read YAML, check it against pydantic's models, and report all mistakes in one message."""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
import yaml
from pydantic import (
    AllowInfNan,
    BaseModel,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)

from mosaicbench.errors import UserError, nearest

LONGEST = 120  # characters of a value in a message
VISIBLE = r"^[^\x00-\x1f\x7f\x85\u2028\u2029]*$"  # a line break would end a row of a table
Text = Annotated[str, StringConstraints(strict=True, min_length=1, pattern=VISIBLE)]
WORDS = {
    "Input should": "should",
    "True, False": "true, false",
    "a valid string": "text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid list": "a list",
    "a valid tuple": "a list",
    " after validation": "",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}  # words of pydantic -> words of messages and of ranges in annotations
BOUNDS = {
    "at least": annotated_types.Ge,
    "at most": annotated_types.Le,
    "above": annotated_types.Gt,
    "below": annotated_types.Lt,
}
Mistake = tuple[str, str]  # the key, and what is wrong with it


class Strict(BaseModel):
    """A mapping with these keys alone and without conversions: "3" is no number."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )


class Options(Strict):
    """Keywords of a function or class, whose tuples are lists in YAML."""

    model_config = ConfigDict(strict=False, use_attribute_docstrings=False)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """A safe loader that refuses a mapping with the same key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Return the mapping."""
        lines = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in lines and name != "<<":
                raise yaml.YAMLError(
                    f"the key {name!r} is twice in one mapping, in lines {lines[name]} and {line}; "
                    "rename or remove one"
                )
            lines[name] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> object:
    """Return the content of a YAML file, or of JSON by its ending; refuse a key that is there twice."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":  # to YAML, 1e-05 is text
            return json.loads(text)
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; relative paths start at {Path.cwd()}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())[:300]})") from error


def refuse(mistakes: Iterable[Mistake], what: str = "config key") -> None:
    """Raise one UserError with all mistakes, if any, with `what` before each key."""
    lines = list(dict.fromkeys(f"{what} {key}: {wrong}".lstrip() for key, wrong in mistakes))
    if lines:
        counted = [f"{len(lines)} mistakes:"] if len(lines) > 1 else []
        raise UserError("\n".join(counted + lines))


def faults(kind: Any, content: object, place: str = "") -> list[Mistake]:
    """Return all mistakes in `content`, from YAML, against a model or type; `place` is its key in the file."""
    try:
        TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        found: dict[tuple, list[str]] = {}
        for one in error.errors(include_url=False):
            loc, keys = one["loc"], _keys(content, one["loc"])
            if one["type"] == "missing":
                wrong, value = f"the key {loc[-1]!r} is missing", ""
            elif one["type"] == "extra_forbidden":
                keys = keys[:-1]
                wrong, value = f"unknown key {loc[-1]!r}{nearest(loc[-1], _names(kind, keys))}", ""
            else:  # each type of a union has an error of its own
                wrong, value = _of_value(one)
                loc = tuple(keys)
            key = ".".join(map(str, [place, *keys] if place else keys)) or "top level"
            found.setdefault(loc, [key, value]).append(wrong)
        return [
            (key, " or ".join(dict.fromkeys(wrong)) + value)
            for key, value, *wrong in found.values()
        ]
    return []


def _keys(content: object, loc: tuple) -> list:
    keys = []
    for part in loc[: -2 if loc[-1:] == ("[key]",) else None]:
        in_list = isinstance(content, list) and isinstance(part, int) and part < len(content)
        if in_list or (isinstance(content, dict) and part in content):
            content = content[part]
            keys.append(part)
    return keys


def _names(kind: Any, keys: list) -> list[str]:
    if hasattr(kind, "model_fields"):
        if not keys:
            return [field.alias or name for name, field in kind.model_fields.items()]
        field = kind.model_fields.get(keys[0])
        return [] if field is None else _names(field.annotation, keys[1:])
    below = keys[1:] if get_origin(kind) in (dict, list) else keys
    return next((names for part in get_args(kind) if (names := _names(part, below))), [])


def _of_value(error: dict) -> tuple[str, str]:
    value, kind, context = error["input"], error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"]), ""
    if context.get("pattern") == VISIBLE:
        return f"{_shortened(value)} has a line break or another invisible character", ""
    is_key = error["loc"][-1:] == ("[key]",) or kind == "invalid_key"
    if is_key and not isinstance(value, str):
        return f"the name {value!r} is not text; write it in quotes", ""
    expected = re.sub(
        r"a valid dictionary( or instance of \w+)?|a valid instance of \w+",
        "a mapping",
        error["msg"],
    )
    for pydantics, ours in WORDS.items():
        expected = expected.replace(pydantics, ours)
    hint = _hint(value, kind, context)
    return f"{expected[0].lower()}{expected[1:]}", f", found {_shortened(value)}{hint}"


def _hint(value: object, kind: str, context: dict) -> str:
    if kind == "literal_error":
        hint = nearest(str(value), re.findall(r"[\w-]+", context["expected"]))
        return hint if hint.endswith("?") else ""
    if isinstance(value, str) and kind in ("int_type", "float_type"):
        try:
            return f"; YAML reads this as text, write {float(value):g}"
        except ValueError:
            return ""
    return ""


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


class _Ranged:
    """`Annotated` with a range in words, such as "at least 0 and below 1"."""

    def __class_getitem__(cls, parts: tuple) -> object:
        bounds = []
        for part in parts[1].split(" and "):
            word, _, number = part.rpartition(" ")
            if word not in BOUNDS:
                raise UserError(f"{parts[1]!r} is no range; use {', '.join(BOUNDS)} and a number")
            bounds.append(BOUNDS[word](float(number)))
        return Annotated[(parts[0], *bounds)]


TYPES = {
    "Label": Text | StrictBool | Annotated[float, AllowInfNan(True)],
    "int": StrictInt,
    "float": StrictFloat,
    "str": Text,
    "bool": StrictBool,
    "Literal": Literal,
    "Annotated": _Ranged,
    "dict": dict,
    "tuple": tuple,
    "list": list,
    "Sequence": list,
}  # name in annotations -> type of YAML


@cache
def kind_of(annotation: str) -> Any:
    """Return the type that an annotation states, from its text, so that no class is imported."""
    tree = ast.parse(annotation or "object", mode="eval")
    if {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - TYPES.keys():
        return Any  # the function or class checks it
    return eval(annotation, TYPES)  # noqa: S307 - our own code


def options(name: str, declared: dict) -> type[Options]:
    """Return the model of keywords, name -> ``catalog.Hyperparameter``."""
    return _options(name, tuple((key, one.annotation) for key, one in declared.items()))


@cache
def _options(name: str, annotations: tuple) -> type[Options]:
    fields = {key: (kind_of(one), None) for key, one in annotations}
    return create_model(name, __base__=Options, **fields)


def refused_together(refusals: tuple[ast.FunctionDef, ...], values: dict) -> Iterable[str]:
    """Yield why a method's class refuses a combination of hyperparameters; `values` are all of them.

    `refusals` are those of ``catalog.refusals``; one that needs more than the values is left to the fit.
    """
    for function in refusals:
        alone, scope = copy.copy(function), {}
        alone.body = [one for one in function.body if "super()" not in ast.unparse(one)]
        alone.body += [ast.Pass()]
        try:
            exec(ast.unparse(alone), scope)  # noqa: S102 - our own code
            scope[function.name](SimpleNamespace(**values))
        except ValueError as error:
            yield str(error)
        except (AttributeError, NameError):
            continue
