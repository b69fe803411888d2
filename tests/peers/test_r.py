"""Methods that run in R: matrices go there and come back, and a missing R or package is named."""

import os
import shutil
import sys
import time

import numpy as np
import psutil
import pytest
from mosaicbench_splits import cut
from test_peers import version_in_r

from mosaicbench.datasets import simulated
from mosaicbench.errors import NotApplicable
from mosaicbench.files.splits import as_split
from mosaicbench.peers import _r, seurat_spca

STAND_IN = f"""#!{sys.executable}
import os, sys, time
import rdata
script = open("script.R").read().splitlines()[-2]
if script == "sleep":
    open(os.environ["PLACE"], "w").write(str(os.getpid()))
    time.sleep(60)
if script == "stop":
    sys.exit("Error in f(x): the matrix is singular")
if script == "absent":
    sys.exit(42)
rdata.write_rds("answer.rds", rdata.read_rds("given.rds")[script])
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Replace Rscript by a program that answers with one of the matrices that it gets."""
    program = tmp_path / "Rscript"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv(_r.RSCRIPT, str(program))


def test_numbers_come_back_as_they_went(stand_in):
    x = np.random.default_rng(0).standard_normal((4, 3))
    for name, expected in {"wide": x.T, "seed": [[7]]}.items():
        answer = _r.run_r("Nowhere", name, seed=7, x=x, wide=x.T)
        np.testing.assert_array_equal(answer, expected)


def test_a_missing_program_or_package_is_named_with_its_remedy(stand_in, monkeypatch):
    with pytest.raises(NotApplicable, match=r"package Nowhere; .* apt-get install r-cran-nowhere"):
        _r.run_r("Nowhere", "absent", seed=0)
    monkeypatch.setenv(_r.RSCRIPT, "/no/such/Rscript")
    with pytest.raises(NotApplicable, match=r"/no/such/Rscript was not .* MOSAICBENCH_RSCRIPT"):
        _r.run_r("Nowhere", "x", seed=0)


def test_an_error_of_r_is_the_runs_message(stand_in, capfd):
    with pytest.raises(RuntimeError, match=r"status 1: Error in f\(x\): the matrix is singular"):
        _r.run_r("Nowhere", "stop", seed=0)
    assert "singular" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a parent's death")
def test_r_ends_with_a_run_that_is_stopped(stand_in, tmp_path, monkeypatch):
    place = tmp_path / "process"
    monkeypatch.setenv("PLACE", str(place))
    child = os.fork()
    if child == 0:
        _r.run_r("Nowhere", "sleep", seed=0)
        os._exit(0)
    deadline = time.monotonic() + 60
    while not (place.exists() and place.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = psutil.Process(int(place.read_text()))
    os.kill(child, 9)
    os.waitpid(child, 0)
    started.wait(timeout=5)


@pytest.mark.skipif(not shutil.which("Rscript"), reason="R is not installed")
def test_a_package_that_r_lacks_is_named():
    with pytest.raises(NotApplicable, match="has no R package Nowhere"):
        _r.run_r("Nowhere", "", seed=0)


@pytest.mark.skipif(not version_in_r("Seurat"), reason="R or its package Seurat is not installed")
def test_loadings_give_seurats_own_latents(monkeypatch):
    sizes = {"modalities": ("rna", "adt"), "cell_types": 3, "n_rna": 60, "n_adt": 14}
    split = cut(simulated.load(None, cells=220, **sizes))
    train = as_split(split["train"], labels=False)
    method = seurat_spca.SeuratSPCA(components=10)
    method.fit(train, 0)
    embedded = method.embed(train.observing("rna", "adt"))
    embeddings = 'answer <- unname(Embeddings(data, "spca"))\n'
    monkeypatch.setattr(seurat_spca, "SCRIPT", seurat_spca.SCRIPT + embeddings)
    method.fit(train, 0)
    np.testing.assert_allclose(embedded, method.loadings, atol=1e-4)
