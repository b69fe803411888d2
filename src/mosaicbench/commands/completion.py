"""Completion: a script that makes a shell complete `mosaicbench` with the Tab key."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import shtab

from mosaicbench.catalog import catalog
from mosaicbench.commands.arguments import parser
from mosaicbench.config import registry


def main(*, shell: str) -> None:
    """Print the script for "bash", "zsh" or "tcsh"; it knows the methods and datasets of today."""
    whole = parser()
    (commands,) = whole._subparsers._group_actions
    commands.help = (
        "a command"  # the help lists them itself; without this, shtab would leave them out
    )
    for command in commands.choices.values():
        _name_values(command)
    print(shtab.complete(whole, shell))


def _name_values(command: ArgumentParser) -> None:
    """Say which arguments of a command are files, and which are names that are known."""
    for action in command._actions:
        if action.type is Path or action.metavar == "FILE":
            action.complete = shtab.FILE
        elif action.metavar == "METHOD":
            action.choices = catalog.names("methods")
        elif action.metavar == "DATASET":
            action.choices = list(registry.load())
