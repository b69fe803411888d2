"""Checks of a config against its schema, and of single values against the types and ranges that code declares."""

from __future__ import annotations

import ast
import copy
import datetime
import math
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import yaml

from mosaicbench import spaces, value_types
from mosaicbench.errors import UserError, nearest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{,99}")
RENAMED = {
    "minibatch": "batch_size",
    "baselines_at_once": "few_jobs",
    "blend": "regression",
    "ridge_components": "regression",
}  # a key or hyperparameter of older configs -> what has its place now
LARGEST = 2**32 - 1  # the largest seed of NumPy; nothing else counts that far
LONGEST = 1000  # letters of a text
DEEPEST = 20  # keys below each other
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
QUOTES = "'\""
TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
}
TYPES |= {"boolean": "true or false", "null": "null"}
TRUTHS = {"true": True, "false": False}
INTEGERS = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, x: type(x) is int
)  # 1.0 is none
Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=INTEGERS)


def checked(config: dict, schema: dict) -> dict:
    """Return a copy of `config` with the schema's defaults filled in, or say what is wrong with it."""
    check_plain(config)
    config = copy.deepcopy(config)
    _fill_defaults(config, schema)
    check_schema(config, schema)
    return config


def check_schema(content: object, schema: dict, where: str = "config key ") -> None:
    """Refuse the first violation of a schema, with its key; `where` is what a message says before the key."""
    errors = sorted(
        Validator(schema).iter_errors(content), key=lambda error: list(map(str, error.path))
    )
    if errors:
        raise UserError(where + _explained(errors[0]))


def read_yaml(path: Path) -> object:
    """Return what a YAML file holds.

    Raises
    ------
    UserError
        When the file is absent or unreadable, is no text or no YAML, or says a key twice, of which one would be lost.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file; paths start from {Path.cwd()}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: is no text in UTF-8, from byte {error.start} on; is it another kind of file?"
        ) from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())[:300]})") from error


@cache
def read_schema(path: Path) -> dict:
    """Return a schema of this project, which nobody changes; errors as for :func:`read_yaml`."""
    return read_yaml(path)


def check_files(paths: list[str]) -> None:
    """Refuse files of a config that say a key twice: Snakemake, which reads them, takes the last without a word."""
    for path in map(Path, paths):
        if path.suffix != ".json" and path.is_file():
            read_yaml(path)


# libyaml, where it is built in, reads the registry ten times as fast, and every job of the workflow reads it.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """A safe loader that refuses a mapping in which a key stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Return the mapping."""
        lines: dict[str, int] = {}
        for key in [
            key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"
        ]:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise yaml.YAMLError(
                    f"the key {key.value!r} stands twice in one mapping, in lines {lines[key.value]} and {line}; rename one or "
                    "take it out"
                )
            lines[key.value] = line
        return super().construct_mapping(node, deep)


def _fill_defaults(config: object, schema: dict) -> None:
    """Set absent keys to the default that the schema gives them, in place, at every level that has properties.

    Where true or false may stand, so may their texts, which is what Snakemake makes of ``--config few_jobs=true``.
    """
    if not isinstance(config, dict):
        return
    for key, part in schema.get("properties", {}).items():
        if key not in config and "default" in part:
            config[key] = copy.deepcopy(part["default"])
        elif _may_be_true(part) and isinstance(given := config.get(key), str):
            config[key] = TRUTHS.get(given, given)
        if key in config:
            _fill_defaults(config[key], part)


def _may_be_true(part: dict) -> bool:
    return part.get("type") == "boolean" or any(choice is True for choice in part.get("enum", []))


def instead_of(key: str, known: object) -> str:
    """Return what has the place of an older key of a config, or else the nearest that there is."""
    if RENAMED.get(key) in known:
        return f"; {RENAMED[key]!r} has its place now"
    return nearest(key, known)


def _explained(error: jsonschema.ValidationError) -> str:
    """Turn the first schema violation into one sentence with the key, what is wrong, and the nearest valid name."""
    key = ".".join(map(str, error.absolute_path)) or "top level"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = next(name for name in error.instance if name not in known)
        return f"{key}: unknown key {unknown!r}{instead_of(unknown, known)}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{key}: the key {missing!r} is missing; {error.schema['properties'][missing].get('description', '')}"
    found = value_types.shown(error.instance)
    if error.validator == "enum":
        in_yaml = {True: "true", False: "false"}
        possible = [
            in_yaml[value] if isinstance(value, bool) else value for value in error.validator_value
        ]
        return f"{key}: {found} is not possible{nearest(found.strip(QUOTES), possible)}"
    described = f" ({error.schema['description']})" if "description" in error.schema else ""
    if error.validator == "type":
        expected = (
            [error.validator_value]
            if isinstance(error.validator_value, str)
            else error.validator_value
        )
        number = (
            value_types.as_number(error.instance) if {"number", "integer"} & set(expected) else None
        )
        hint = "" if number is None else f"; YAML reads this as text, write {number:g}"
        return f"{key}: expected {' or '.join(TYPES[one] for one in expected)}, found {found}{hint}{described}"
    if error.validator == "pattern":
        return f"{key}: {found} is not possible{described}"
    message = error.message.removeprefix(repr(error.instance))
    return f"{key}: {found if message != error.message else ''}{message[:200]}{described}"


def check_name(section: str, name: str) -> None:
    """Refuse an id of a section of the config that cannot be a folder's name."""
    if (section, name) == ("datasets", "all_datasets"):
        raise UserError(
            "config key datasets: 'all_datasets' is the folder of tables over all datasets; choose another name"
        )
    if name == "NA":
        raise UserError(
            f"config key {section}: 'NA' is how tables say that a number is missing; choose another name"
        )
    if not NAME.fullmatch(name):
        raise UserError(
            f"config key {section}: {value_types.shown(name)} becomes a folder's name; use letters, digits, '_', '-' and '.' "
            "only, at most 100 of them, and a letter or digit first"
        )


def check_declared(where: str, declared: dict, *, defaults: bool) -> None:
    """Refuse an annotation of code whose range cannot be read, and, if asked, a default that its own annotation refuses.

    Parameters
    ----------
    where
        What declares them, for the message.
    declared
        name -> ``catalog.Hyperparameter``.
    defaults
        Whether all of them have one.
    """
    for name, one in declared.items():
        fault = value_types.range_fault(one.annotation)
        if defaults and not fault and (wrong := value_types.fault(one.default, one.annotation)):
            fault = f"the default is none of its own values: {wrong}"
        if fault:
            raise UserError(f"{where}: {name}: {fault}")


def check_space(where: str, space: dict, declared: dict) -> None:
    """Refuse values to search, of a card that is valid otherwise, which the hyperparameter's own annotation refuses."""
    for name, values in space.items():
        for end in spaces.ends(values):
            if fault := value_types.fault(end, declared[name].annotation):
                raise UserError(f"{where}: space: {name}: {fault}")


def check_type(key: str, value: object, annotation: str, where: str = "config key ") -> None:
    """Check a value against an annotation, and a number against the range that the annotation states."""
    if fault := value_types.fault(value, annotation):
        raise UserError(f"{where}{key}: {fault}")


def check_hyperparameters(
    key: str,
    method: str,
    given: dict,
    known: dict,
    refusals: tuple[ast.FunctionDef, ...],
    where: str = "config key ",
) -> None:
    """Refuse hyperparameters that a method does not have, or values that they cannot have, one by one or together.

    Parameters
    ----------
    key, where
        Of the message.
    given, known
        name -> value, and name -> ``catalog.Hyperparameter``.
    refusals
        As of :func:`check_combination`.
    """
    for name, value in given.items():
        if name not in known:
            raise UserError(
                f"{where}{key}: method {method!r} has no hyperparameter {name!r}{instead_of(name, known)}"
            )
        check_type(f"{key}.{name}", value, known[name].annotation, where)
    check_combination(
        key, refusals, {name: one.default for name, one in known.items()} | given, where
    )


def check_combination(
    key: str, refusals: tuple[ast.FunctionDef, ...], values: dict, where: str = "config key "
) -> None:
    """Refuse values that are right one by one, and that the method's class refuses together.

    Parameters
    ----------
    key, where
        Of the message.
    refusals
        What looks at them: ``catalog.refusals``. One that does more than to look is left to the fit.
    values
        All hyperparameters.
    """
    for function in refusals:
        statements = [one for one in function.body if "super()" not in ast.unparse(one)] or [
            ast.Pass()
        ]
        alone = ast.FunctionDef(
            name="refuse", args=function.args, body=statements, decorator_list=[], returns=None
        )
        scope: dict = {}
        exec(compile(ast.fix_missing_locations(ast.Module([alone], [])), "refusals", "exec"), scope)  # noqa: S102 - our own code
        try:
            scope["refuse"](SimpleNamespace(**values))
        except ValueError as error:
            raise UserError(f"{where}{key}: {error}") from None
        except (AttributeError, NameError):
            continue


def check_plain(value: object, key: str = "", where: str = "config key ") -> None:
    """Refuse what no value of a YAML file of this project may be, at any depth.

    That is: names that are not text, texts of several lines, dates and other types of YAML's own, numbers that are not finite
    or larger than anything here could be, and mappings that hold themselves.

    Raises
    ------
    UserError
        With the key, and what to write instead.
    """
    place = where + (key or "top level")
    if key.count(".") > DEEPEST:
        raise UserError(
            f"{where}{key[:80]}…: nested more than {DEEPEST} deep, or a YAML alias that holds itself"
        )
    if isinstance(value, datetime.date):
        raise UserError(f"{place}: {value} is read as a date; write it in quotes")
    if not isinstance(value, str | int | float | list | tuple | dict | type(None)):
        raise UserError(
            f"{place}: {value_types.shown(value)} is no text, number, list or mapping; leave YAML's tags (!!) out"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{place}: {value} is not a finite number")
    if isinstance(value, int) and abs(value) > LARGEST:
        side = "greater" if value > 0 else "less"
        raise UserError(
            f"{place}: {value_types.shown(value)} is {side} than any number that can be meant here"
        )
    if isinstance(value, str) and len(value) > LONGEST:
        raise UserError(
            f"{place}: a text of {len(value)} letters, {value_types.shown(value[:40])}…; at most {LONGEST} are possible"
        )
    if isinstance(value, str) and CONTROL.search(value):
        raise UserError(
            f"{place}: {value_types.shown(value)} has a line break or another sign that cannot be seen; take it out"
        )
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise UserError(f"{place}: the name {name!r} is not text; write it in quotes")
            if CONTROL.search(name):
                raise UserError(
                    f"{place}: the name {value_types.shown(name)} has a line break or another sign that cannot be seen"
                )
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list | tuple)
        else ()
    )
    for name, part in parts:
        check_plain(part, f"{key}.{name}".lstrip("."), where)


def check_scenario(name: str, stanza: dict, datasets: dict, runs: dict) -> None:
    """Refuse what the schema cannot: a design that its kind does not have, a dataset or run that is not there."""
    check_name("scenarios", name)
    design = [key for key in ("paired_fraction", "blocks") if key in stanza]
    if stanza["kind"] == "mosaic" and len(design) != 1:
        raise UserError(
            f"config key scenarios.{name}: a mosaic needs either paired_fraction or blocks, found {design or 'none'}"
        )
    if stanza["kind"] != "mosaic" and (design or "shares" in stanza):
        key = (design or ["shares"])[0]
        raise UserError(
            f"config key scenarios.{name}.{key}: only a mosaic has it, this scenario is {stanza['kind']}"
        )
    why = {
        "paired": "in a paired scenario every train cell has all modalities",
        "natural": "a natural scenario hides nothing",
    }
    if stanza["kind"] in why and (
        hiding := [key for key in ("balanced", "imbalance") if key in stanza]
    ):
        raise UserError(f"config key scenarios.{name}.{hiding[0]}: {why[stanza['kind']]}")
    if "shares" in stanza and len(stanza["shares"]) != len(stanza.get("blocks", ())):
        raise UserError(
            f"config key scenarios.{name}.shares: one number for each of the blocks was expected"
        )
    for key, noun, there in (("datasets", "dataset", datasets), ("runs", "run", runs)):
        for one in stanza.get(key, ()):
            if one not in there:
                raise UserError(
                    f"config key scenarios.{name}.{key}: there is no {noun} {one!r}{nearest(one, there)}"
                )
