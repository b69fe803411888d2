"""Pages of the command line, from its parser, and of the Python functions, from their docstrings."""

from __future__ import annotations

import argparse
import inspect
import re

from blocks import table

import mosaicbench
from mosaicbench.commands import arguments
from mosaicbench.workflow import layout

COMMAND_LINE = """# Command line

`mosaicbench COMMAND --help` prints the same. A mistake ends with one message and exit status 1."""
PYTHON = """# Python

`import mosaicbench as mb`; the [tutorial](own_cells.ipynb) uses all three functions. A method, metric or dataset of your own is
[a file](extending.md)."""


def command_line() -> str:
    """Return the page of all commands: first those for users, then the steps of the workflow."""
    whole = arguments.parser()
    (added,) = [action for action in whole._actions if action.dest == "command"]
    steps = [name for name in added.choices if name not in arguments.FOR_USERS]
    parts = [COMMAND_LINE, *(_command(name, added.choices[name]) for name in arguments.FOR_USERS)]
    parts += ["## Steps of the workflow", "Snakemake runs these."]
    parts += [_command(name, added.choices[name], "###") for name in steps]
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: argparse.ArgumentParser, mark: str = "##") -> str:
    example = command.epilog.removeprefix("example:").strip()
    rows = [
        [f"`{_spelled(action)}`", _meaning(action), _default(action)]
        for action in command._actions
        if not isinstance(action, argparse._HelpAction)
    ]
    parts = [f"{mark} {name}", command.description, f"```sh\n{example}\n```"]
    parts += [table(["argument", "meaning", "default"], rows)] if rows else []
    return "\n\n".join(parts)


def _spelled(action: argparse.Action) -> str:
    several = " ..." if action.nargs in ("+", "*") else ""
    value = action.metavar or action.dest.upper()
    if not action.option_strings:
        return f"{action.dest}{several}"
    return action.option_strings[-1] + ("" if action.nargs == 0 else f" {value}{several}")


def _meaning(action: argparse.Action) -> str:
    choices = f"one of {', '.join(action.choices)}" if action.choices else ""
    return "; ".join(filter(None, [action.help, choices]))


def _default(action: argparse.Action) -> str:
    """Return a default as text, a file of the project without its folder."""
    if action.required and action.nargs != "*":
        return "required"
    if action.default in (None, [], {}) or isinstance(action.default, bool):
        return ""
    project = layout.project_file("config").parent
    return f"`{str(action.default).removeprefix(f'{project}/')}`"


def python() -> str:
    """Return the page of the functions that `mosaicbench` exports."""
    return "\n\n".join([PYTHON, *map(_function, mosaicbench.__all__)]) + "\n"


def _function(name: str) -> str:
    function = getattr(mosaicbench, name)
    lines = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in lines:
            lines.append("*")
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        optional = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        lines.append(f"{stars}{parameter.name}: {parameter.annotation}{optional}")
    signature = f"mosaicbench.{name}(\n    " + ",\n    ".join(lines) + ",\n)"
    return f"## {name}\n\n```python\n{signature}\n```\n\n{_marked(inspect.getdoc(function))}"


def _marked(docstring: str) -> str:
    """Return a docstring of NumPy's style as Markdown: its headings in bold, its entries as a list."""
    docstring = docstring.replace(":func:", "").replace("``", "`")
    summary, *sections = re.split(r"^(\w+)\n-+\n", docstring, flags=re.MULTILINE)
    parts = [summary.strip()]
    for heading, body in zip(sections[::2], sections[1::2], strict=True):
        entries = re.findall(r"^(\S.*)\n((?:    .*\n?)+)", body, flags=re.MULTILINE)
        items = [f"- `{entry}`: {' '.join(text.split())}" for entry, text in entries]
        parts += [f"**{heading}**", "\n".join(items)]
    return "\n\n".join(parts)
