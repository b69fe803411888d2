"""What wrapped R packages share: one start of Rscript on a script, numbers in and numbers out.

The script reads the list `given`: matrices by name, a single number as a 1 x 1 matrix. It answers
with `give(name, matrix)`. All numbers travel as 64-bit floats in files of a temporary folder,
without rounding.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mosaicbench.errors import NotApplicable

RSCRIPT = "MOSAICBENCH_RSCRIPT"  # names the Rscript to use, if not the first one on the path
NOT_INSTALLED = 42  # exit status of a script without its package
PR_SET_PDEATHSIG = 1  # prctl(2): the kernel sends this process a signal when its parent dies
LONGEST = 300  # characters of R's message in a run's record

BEFORE = """
if (!requireNamespace("{package}", quietly = TRUE)) quit(status = {not_installed})
given <- list()
for (line in readLines("given.tsv")) {{
  field <- strsplit(line, "\\t")[[1]]
  shape <- as.integer(field[2:3])
  given[[field[1]]] <- matrix(readBin(paste0(field[1], ".given"), "double", prod(shape)), shape[1], shape[2], byrow = TRUE)
}}
give <- function(name, matrix) {{
  writeBin(as.double(t(as.matrix(matrix))), paste0(name, ".gives"))
  cat(name, "\\t", nrow(matrix), "\\t", ncol(matrix), "\\n", file = "gives.tsv", sep = "", append = TRUE)
}}
set.seed(given$seed)
"""


def run_r(
    wraps: dict[str, str], script: str, seed: int, **given: np.ndarray | float
) -> dict[str, np.ndarray]:
    """Run `script` in R and return its answers.

    Parameters
    ----------
    wraps
        As in a card: the R package that the script needs.
    script
        R's lines. They read the list `given` and call `give(name, matrix)`.
    seed
        Of R's generator.
    given
        name -> (rows, columns), or one number.

    Returns
    -------
    dict
        name -> (rows, columns) float64.

    Raises
    ------
    NotApplicable
        If R or the package is not installed, with the remedy.
    RuntimeError
        If R ends with an error, with its last lines.
    """
    package = wraps["package"]
    program = _rscript(package)
    with TemporaryDirectory() as place:
        folder = Path(place)
        _write(folder, given | {"seed": seed})
        before = BEFORE.format(package=package, not_installed=NOT_INSTALLED)
        (folder / "script.R").write_text(before + script, encoding="utf-8")
        done = subprocess.run(
            [program, "--no-init-file", "script.R"],
            cwd=folder,
            check=False,
            preexec_fn=_end_with_parent(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        sys.stderr.write(done.stdout)  # a run's log
        if done.returncode == NOT_INSTALLED:
            raise NotApplicable(f"{program} has no R package {package}; {_remedy(package)}")
        if done.returncode != 0:
            message = " ".join(done.stdout.split())[-LONGEST:]
            raise RuntimeError(f"R ended with exit status {done.returncode}: {message}")
        return _read(folder)


def _rscript(package: str) -> str:
    name = os.environ.get(RSCRIPT) or "Rscript"
    if program := shutil.which(name):
        return program
    raise NotApplicable(
        f"{name} was not found; {_remedy(package)}, or name another R's Rscript in {RSCRIPT}"
    )


def _remedy(package: str) -> str:
    return f"on Debian and Ubuntu: apt-get install r-cran-{package.lower()}"


def _write(folder: Path, given: dict[str, np.ndarray | float]) -> None:
    lines = []
    for name, value in given.items():
        matrix = np.atleast_2d(np.asarray(value, dtype=np.float64))
        matrix.tofile(folder / f"{name}.given")
        lines.append("\t".join([name, *map(str, matrix.shape)]))
    (folder / "given.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read(folder: Path) -> dict[str, np.ndarray]:
    answers = {}
    for line in (folder / "gives.tsv").read_text(encoding="utf-8").splitlines():
        name, rows, columns = line.split("\t")
        answers[name] = np.fromfile(folder / f"{name}.gives").reshape(int(rows), int(columns))
    return answers


def _end_with_parent() -> Callable[[], None] | None:
    """Return a function that makes R end when this process is killed; None off Linux."""
    if sys.platform != "linux":
        return None
    return partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
