"""Run: the workflow from wherever it is installed, in the folder that one stands in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mosaicbench.errors import UserError
from mosaicbench.workflow import layout


def main(*, configfile: Path | None, cores: str, arguments: list[str]) -> None:
    """Become Snakemake: results, logs and raw data go to the working directory.

    Parameters
    ----------
    configfile
        A config; None takes ``config/config.yaml`` of the working directory where there is one, else the default benchmark.
    cores
        How many, or "all".
    arguments
        Handed on to Snakemake.

    Raises
    ------
    UserError
        When there is no such config.
    """
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(layout.project_file("Snakefile")),
        "--cores",
        cores,
    ]
    if configfile is not None:
        if not configfile.is_file():
            raise UserError(f"--configfile {configfile}: there is no such file")
        command += ["--configfile", str(configfile)]
    sys.stdout.flush()
    os.execv(sys.executable, [*command, *arguments])
