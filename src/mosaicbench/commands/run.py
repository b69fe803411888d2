"""Run: the installed workflow in the working directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mosaicbench.config import settings
from mosaicbench.workflow import layout


def main(*, configfile: Path | None, cores: str, arguments: list[str]) -> None:
    """Become Snakemake: results, logs and raw data go to the working directory.

    Parameters
    ----------
    configfile
        A config; None for ``config/config.yaml`` here, else the default benchmark.
    cores
        A number, or "all".
    arguments
        Further ones for Snakemake.

    Raises
    ------
    UserError
        When the config is missing or wrong.
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
        if "--config" not in arguments:  # which may complete it
            settings.read(configfile)
        command += ["--configfile", str(configfile)]
    sys.stdout.flush()
    os.execv(sys.executable, [*command, *arguments])
