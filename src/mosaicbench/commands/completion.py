"""Completion: a script that makes a shell complete `mosaicbench` with the Tab key."""

from __future__ import annotations

from pathlib import Path

import shtab

from mosaicbench.catalog import catalog
from mosaicbench.commands.arguments import parser
from mosaicbench.config import registry


def main(*, shell: str) -> None:
    """Print the script for "bash", "zsh" or "tcsh", with today's methods and datasets."""
    whole = parser()
    (commands,) = whole._subparsers._group_actions
    commands.help = "a command"  # shtab leaves out what the help hides
    for command in commands.choices.values():
        for action in command._actions:
            if action.type is Path:
                action.complete = shtab.FILE
            elif action.dest == "method":
                action.choices = catalog.names("methods")
            elif action.dest == "datasets":
                action.choices = list(registry.load())
    print(shtab.complete(whole, shell))
