"""What wrapped R packages share: one start of Rscript on a script, matrices in and a matrix out.

Numbers travel as 64-bit floats, without rounding.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mosaicbench.errors import NotApplicable

RSCRIPT = "MOSAICBENCH_RSCRIPT"  # names the Rscript to use, if not the first one on the path
NOT_INSTALLED = 42  # exit status of a script without its package
PR_SET_PDEATHSIG = 1  # prctl(2): the kernel sends this process a signal when its parent dies
LONGEST = 300  # characters of R's message in a run's record

SCRIPT = """
if (!requireNamespace("{package}", quietly = TRUE)) quit(status = {not_installed})
given <- readRDS("given.rds")
set.seed(given$seed)
{script}
saveRDS(answer, "answer.rds")
"""


def run_r(package: str, script: str, **given: np.ndarray | float) -> np.ndarray:
    """Run `script` in R and return its answer, (rows, columns) float64.

    It reads the list `given`, name -> (rows, columns) or one number, 1 x 1 in R, and sets `answer`, a
    matrix without names; `seed` is that of R's generator. Without R or the package: NotApplicable with
    the remedy; after an error of R: RuntimeError with its last lines.
    """
    import rdata

    name = os.environ.get(RSCRIPT) or "Rscript"
    remedy = f"on Debian and Ubuntu: apt-get install r-cran-{package.lower()}"
    if shutil.which(name) is None:
        raise NotApplicable(
            f"{name} was not found; {remedy}, or name another R's Rscript in {RSCRIPT}"
        )
    matrices = {key: np.atleast_2d(np.asarray(x, dtype=np.float64)) for key, x in given.items()}
    with TemporaryDirectory() as place:
        folder = Path(place)
        rdata.write_rds(folder / "given.rds", matrices)
        text = SCRIPT.format(package=package, not_installed=NOT_INSTALLED, script=script)
        (folder / "script.R").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [name, "--no-init-file", "script.R"],
            cwd=folder,
            check=False,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        sys.stderr.write(done.stdout)  # a run's log
        if done.returncode == NOT_INSTALLED:
            raise NotApplicable(f"{name} has no R package {package}; {remedy}")
        if done.returncode != 0:
            message = " ".join(done.stdout.split())[-LONGEST:]
            raise RuntimeError(f"R ended with exit status {done.returncode}: {message}")
        return np.asarray(rdata.read_rds(folder / "answer.rds"))


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
