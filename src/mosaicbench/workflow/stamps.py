"""One small file for the code of a job: it tells what each file of that code holds, and is written only when one changes.

A job takes it as its input, and not the fifty files themselves: Snakemake looks at every input of every job many times.
Standard library only, since the workflow's rules ask for it.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from mosaicbench.files.atomic import write_text
from mosaicbench.workflow import sources


def stamp(folder: str | Path, command: str, *modules: str) -> str:
    """Return the file that stands for all code of a command and of further modules, brought up to date.

    It holds a line for each file, its SHA-256 and its place in the package, so the same code gives the same bytes on every
    machine; it is left alone where it says so already, so its time of change is that of the code.

    Parameters
    ----------
    folder
        Where such files lie.
    command
        The name of one in ``mosaicbench.commands``.
    modules
        Dotted names, such as that of a method's module.

    Raises
    ------
    NotWritten
        When the folder cannot be written to.
    """
    files = sources.of(f"mosaicbench.commands.{command}", *modules)
    text = "".join(
        f"{_digest(file)}  {Path(file).relative_to(sources.ROOT).as_posix()}\n" for file in files
    )
    of_modules = (
        f"-{hashlib.sha256(' '.join(sorted(modules)).encode()).hexdigest()[:12]}" if modules else ""
    )
    path = Path(folder, f"{command}{of_modules}.txt")
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return str(path)


@cache
def _digest(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
