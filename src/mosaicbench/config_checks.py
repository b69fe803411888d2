"""Checks of a config against its schema, and of single values against the types and ranges that code declares."""

from __future__ import annotations

import ast
import copy
import math
import re

import jsonschema

from mosaicbench.errors import UserError, nearest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
RENAMED = {"minibatch": "batch_size", "products": "matmul_precision"}  # a key of older configs -> its name now
CHECKED_TYPES = {"int": int, "float": (int, float), "str": str, "bool": bool, "None": type(None), "dict": dict}
POSITIVE = {
    "learning_rate",
    "critic_learning_rate",
    "epsilon",
    "gradient_clip",
}  # hyperparameters, in all methods that have them
AT_LEAST_ONE = {
    "latent",
    "hidden",
    "components",
    "batch_size",
    "max_epochs",
    "patience",
    "epochs",
    "samples",
    "factors",
    "cells",
}
AT_LEAST_ZERO = {"beta", "alignment", "weight_decay", "private", "dropout", "modality_dropout", "seed"}
INTEGERS = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, x: type(x) is int)  # 1.0 is none
Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=INTEGERS)


def checked(config: dict, schema: dict) -> dict:
    """Return a copy of `config` with the schema's defaults filled in, or say what is wrong with it."""
    _check_plain(config)
    config = copy.deepcopy(config)
    _fill_defaults(config, schema)
    errors = sorted(Validator(schema).iter_errors(config), key=lambda error: list(map(str, error.path)))
    if errors:
        raise UserError(_explained(errors[0]))
    return config


def _fill_defaults(config: object, schema: dict) -> None:
    """Set absent keys to the default that the schema gives them, in place, at every level that has properties."""
    if not isinstance(config, dict):
        return
    for key, part in schema.get("properties", {}).items():
        if key not in config and "default" in part:
            config[key] = copy.deepcopy(part["default"])
        if key in config:
            _fill_defaults(config[key], part)


def instead_of(key: str, known: object) -> str:
    """Return what an unknown key of a config is called now, or the nearest that there is."""
    if RENAMED.get(key) in known:
        return f"; it is called {RENAMED[key]!r} now"
    return nearest(key, known)


def _explained(error: jsonschema.ValidationError) -> str:
    """Turn the first schema violation into one sentence with the key, what is wrong, and the nearest valid name."""
    key = ".".join(map(str, error.absolute_path)) or "top level"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = next(name for name in error.instance if name not in known)
        return f"config key {key}: unknown key {unknown!r}{instead_of(unknown, known)}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"config key {key}: the key {missing!r} is missing; {error.schema['properties'][missing].get('description', '')}"
    if error.validator == "enum":
        in_yaml = {True: "true", False: "false"}
        possible = [in_yaml[value] if isinstance(value, bool) else value for value in error.validator_value]
        return f"config key {key}: {error.instance!r} is not possible{nearest(str(error.instance), possible)}"
    described = f" ({error.schema['description']})" if "description" in error.schema else ""
    return f"config key {key}: {error.message}{described}"


def check_name(section: str, name: str) -> None:
    """Refuse an id of a section of the config that cannot be a folder's name."""
    if not NAME.fullmatch(name):
        raise UserError(f"config key {section}: {name!r} becomes a folder's name; use letters, digits, '_', '-' and '.' only")


def check_type(key: str, value: object, annotation: str) -> None:
    """Check a value against an annotation, and a number against the range that its name has."""
    expected = ast.parse(annotation, mode="eval").body
    if not _fits(value, expected):
        raise UserError(f"config key {key}: expected {_described(expected)}, found {value!r}")
    name = key.rsplit(".", 1)[-1]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if name in POSITIVE and value <= 0:
            raise UserError(f"config key {key}: expected a number above 0, found {value!r}")
        least = 1 if name in AT_LEAST_ONE else 0 if name in AT_LEAST_ZERO or name.endswith("_weight") else value
        if value < least:
            raise UserError(f"config key {key}: expected a number of at least {least}, found {value!r}")


def _fits(value: object, expected: ast.expr) -> bool:
    """Return whether a value is of an annotation; a type that no YAML has is left to the loader."""
    match expected:
        case ast.BinOp(left=left, right=right):
            return _fits(value, left) or _fits(value, right)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            return not isinstance(value, list | dict) and value in _choices(choices)
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, each])):
            return isinstance(value, dict) and all(_fits(one, each) for one in value.values())
        case ast.Subscript(value=ast.Name(id="list" | "Sequence"), slice=each):
            return isinstance(value, list | tuple) and all(_fits(one, each) for one in value)
        case ast.Name() | ast.Constant() if (name := ast.unparse(expected)) in CHECKED_TYPES:
            return isinstance(value, CHECKED_TYPES[name]) and not (isinstance(value, bool) and name != "bool")
    return True


def _choices(node: ast.expr) -> tuple:
    return ast.literal_eval(ast.Tuple(elts=node.elts if isinstance(node, ast.Tuple) else [node], ctx=ast.Load()))


def _described(expected: ast.expr) -> str:
    match expected:
        case ast.BinOp(left=left, right=right):
            return f"{_described(left)} or {_described(right)}"
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            return f"one of {', '.join(map(str, _choices(choices)))}"
        case ast.Subscript(value=ast.Name(id="list" | "Sequence"), slice=each):
            return f"a list of {_described(each)}"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, each])):
            return f"a mapping from names to {_described(each)}"
    return ast.unparse(expected)


def _check_plain(value: object, key: str = "") -> None:
    """Refuse names that YAML reads as numbers, dates or booleans, and numbers that are not finite, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"config key {key}: {value} is not a finite number")
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise UserError(f"config key {key or 'top level'}: the name {name!r} is not text; write it in quotes")
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        _check_plain(part, f"{key}.{name}".lstrip("."))
