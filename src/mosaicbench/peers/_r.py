"""What wrapped R packages share: one start of Rscript on a script of ours, numbers in and numbers out.

The script finds its inputs in the list `given`: matrices by name, a single number as one of one row and column. It answers with
`give(name, matrix)`. All numbers travel as 64-bit floats in files of a temporary folder, so that none is rounded.
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

RSCRIPT = (
    "MOSAICBENCH_RSCRIPT"  # names the Rscript to use where it is not the first one on the path
)
NOT_INSTALLED = 42  # exit status of a script whose package is not installed
PR_SET_PDEATHSIG = 1  # prctl(2): the signal that the kernel sends this process when its parent dies
LONGEST = 300  # characters of R's message that go into a run's record

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
    """Run `script` in R and return what it gives.

    Parameters
    ----------
    wraps
        As in a card: the R package that the script needs.
    script
        R's lines. They read the list `given` and call `give(name, matrix)`.
    seed
        At which R's generator starts.
    given
        name -> (rows, columns), or one number.

    Returns
    -------
    dict
        name -> (rows, columns) float64, as the script gave them.

    Raises
    ------
    NotApplicable
        Where R or the package is not installed; says what to install.
    RuntimeError
        Where R ended with an error: its last lines.
    """
    program = rscript(wraps["package"])
    with TemporaryDirectory() as place:
        folder = Path(place)
        _write(folder, given | {"seed": seed})
        before = BEFORE.format(package=wraps["package"], not_installed=NOT_INSTALLED)
        (folder / "script.R").write_text(before + script, encoding="utf-8")
        status, said = _ended([program, "--no-init-file", "script.R"], folder)
        if status == NOT_INSTALLED:
            raise NotApplicable(
                f"{program} has no R package {wraps['package']}; {_remedy(wraps['package'])}"
            )
        if status != 0:
            raise RuntimeError(
                f"R ended with exit status {status}: {' '.join(said.split())[-LONGEST:]}"
            )
        return _read(folder)


def rscript(package: str) -> str:
    """Return the path of the Rscript to start.

    Raises
    ------
    NotApplicable
        Where there is none.
    """
    named = os.environ.get(RSCRIPT)
    if program := shutil.which(named or "Rscript"):
        return program
    raise NotApplicable(
        f"{named or 'Rscript'} was not found; {_remedy(package)}, or name another R's Rscript in {RSCRIPT}"
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
    rows = [
        line.split("\t") for line in (folder / "gives.tsv").read_text(encoding="utf-8").splitlines()
    ]
    return {
        name: np.fromfile(folder / f"{name}.gives").reshape(int(height), int(width))
        for name, height, width in rows
    }


def _ended(command: list[str], folder: Path) -> tuple[int, str]:
    """Run the command in the folder; return its exit status and what it said, which also goes to a run's log."""
    words = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "errors": "replace",
    }
    done = subprocess.run(command, cwd=folder, check=False, preexec_fn=_end_with_parent(), **words)
    sys.stderr.write(done.stdout)
    return done.returncode, done.stdout


def _end_with_parent() -> Callable[[], None] | None:
    """Return what makes the started process end when this one is killed, as a run over its limits is; None off Linux."""
    if sys.platform != "linux":
        return None
    return partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
