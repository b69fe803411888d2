"""Arguments as the table of commands writes them, and the types that read their values."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mosaicbench.catalog import catalog
from mosaicbench.errors import nearest

Argument = tuple[str, dict]  # name, keywords of ``ArgumentParser.add_argument``


def option(name: str, what: str | None = None, **more: object) -> Argument:
    """Return an argument, or an option with a value."""
    return name, {"help": what, **more}


def flag(name: str, what: str, **more: object) -> Argument:
    """Return an option without a value."""
    return name, {"help": what, "action": "store_true", **more}


def path(name: str, what: str | None = None, **more: object) -> Argument:
    """Return an argument that is a file or a folder."""
    return name, {"help": what, "type": Path, **more}


def json_object(text: str) -> dict:
    """Return a JSON object from the command line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"no JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('must be an object of JSON, such as {"key": 1}')
    return value


def settings(path: str) -> object:
    """Return the checked config that a file holds."""
    from mosaicbench.config import settings

    try:
        return settings.read(Path(path))
    except (OSError, ValueError) as error:
        named = str(error).startswith(path)
        raise argparse.ArgumentTypeError(str(error) if named else f"{path}: {error}") from error


def _one_of(names: Callable[[], tuple[str, ...]]) -> Callable[[str], str]:
    """Return a type that refuses other words. Cards are read only when a word is given, because that takes a while."""

    def checked(text: str) -> str:
        if text not in names():
            raise argparse.ArgumentTypeError(f"there is no {text!r}{nearest(text, names())}")
        return text

    return checked


def _groups() -> tuple[str, ...]:
    return tuple(sorted({card["group"] for card in catalog.cards("metrics").values()}))


FIGURES = _one_of(partial(catalog.names, "figures"))
METHODS = _one_of(partial(catalog.names, "methods"))
GROUPS = _one_of(_groups)
THREADS = option("--threads", type=int)
