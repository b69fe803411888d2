"""Run: the installed workflow in the working directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mosaicbench.config import settings
from mosaicbench.errors import UserError
from mosaicbench.workflow import layout


def main(*, configfile: str | None, cores: str, arguments: list[str]) -> None:
    """Become Snakemake: results, logs and raw data go to the working directory.

    `configfile` None is ``config/config.yaml`` here, else the default benchmark; `arguments` are
    Snakemake's options and targets.
    """
    command = [sys.executable, "-m", "snakemake"]
    if configfile is not None:
        if not configfile.endswith((".yaml", ".yml", ".json")):
            raise UserError(
                f"{configfile}: a config is a .yaml file; what Snakemake shall make follows two "
                f"dashes: mosaicbench run -- {configfile}"
            )
        if "--config" not in arguments:  # which may complete it
            settings.read(Path(configfile))
        command += ["--configfile", configfile]  # takes all words up to the next option
    command += ["--snakefile", str(layout.project_file("Snakefile")), "--cores", cores, *arguments]
    sys.stdout.flush()
    os.execv(sys.executable, command)
