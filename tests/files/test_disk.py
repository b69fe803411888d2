"""A disk that takes nothing: one message, no half of a file, what was there stays; what a killed process left is written over."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from mosaicbench.errors import NotWritten
from mosaicbench.files import atomic as writer
from mosaicbench.files.atomic import atomic, write_text
from mosaicbench.files.runs import latents_table, write_latents

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
"""  # from here on, no file of this process can be longer


def under_limit(size, code, argument):
    """Run Python code in a process whose files the system keeps from growing beyond `size` bytes."""
    command = [sys.executable, "-c", LIMITED + code, str(size), str(argument)]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


WRITES = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from mosaicbench.errors import NotWritten
from mosaicbench.files.models import KeptModel, write_model
from mosaicbench.files.runs import latents_table, write_latents
from mosaicbench.files.tables import write_table

folder, names = Path(sys.argv[1]), [f"c{i}" for i in range(500)]
latents = latents_table({("joint", "query"): (names, np.random.default_rng(0).random((500, 30)))})
model = KeptModel({}, {"w": np.ones(50000)}, {"m": np.ones(3)})
for write, *given in (
    (write_latents, folder / "latents.h5ad", latents),
    (write_table, folder / "scores.tsv", pd.DataFrame({"a": range(20000)})),
    (write_model, folder, model),
):
    try:
        write(*given)
    except NotWritten as error:
        print(error)
"""


def test_a_file_that_does_not_fit_is_one_message_and_no_file(tmp_path):
    done = under_limit(20_000, WRITES, tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("latents.h5ad", "scores.tsv", "model.npz"):
        assert f"{name}: cannot be written (File too large)" in done.stdout
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_where_the_disk_is_full(tmp_path, monkeypatch):
    path = tmp_path / "latents.h5ad"
    write_text(path, "before")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(writer.os, "replace", full)
    with pytest.raises(NotWritten, match=r"latents.h5ad: .* \(No space left on device\)"):
        write_latents(path, latents_table({("joint", "query"): (["a"], np.ones((1, 2)))}))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_block_itself_passes(tmp_path):
    def fails_with(error):
        with atomic(tmp_path / "a.tsv") as temporary:
            temporary.write_text("half")
            raise error

    for error in (ZeroDivisionError("of a block"), OSError("of a library")):
        with pytest.raises(type(error), match=str(error)):
            fails_with(error)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_written_over(tmp_path):
    path = tmp_path / "scores.[1].tsv"
    (tmp_path / ".scores.[1].partial.tsv").write_text("half of a long file")
    write_text(path, "whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


FIT = """
import json, sys
from mosaicbench import cli
from mosaicbench.config import jobs
from mosaicbench.config import jobs, recorded
recorded.read = lambda path: None
jobs.fit = lambda *bench, **named: json.loads(sys.argv[1])
cli.main(["fit", "--split", "small/paired", "--run", "random_latent"])
"""


def test_a_fit_whose_files_do_not_fit_is_no_row_of_the_method(tmp_path):
    """A full disk is no fault of the method: the run has no row, and is fitted again."""
    from mosaicbench_fits import LIMITS, fit_one, run_of, seeds_of
    from mosaicbench_splits import cut_small, small_dataset

    split = cut_small(small_dataset(), "paired", tmp_path / "split")
    fit_one(split, tmp_path / "fit", "random_latent")
    before = (tmp_path / "fit/latents.h5ad").stat()
    run = run_of("random_latent", [tmp_path / "fit"])
    job = json.dumps({"runs": [run], "seeds": seeds_of([split], [0]), "limits": LIMITS})
    done = under_limit(8_000, FIT, job)
    assert done.returncode == 1
    assert "cannot be written (File too large)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "fit/run.json").exists()
    assert (tmp_path / "fit/latents.h5ad").stat().st_mtime_ns == before.st_mtime_ns
    assert not list((tmp_path / "fit").glob(".*"))
    assert fit_one(split, tmp_path / "fit", "random_latent")["status"] == "ok"


def test_a_checkpoint_that_cannot_be_saved_does_not_end_a_training(tmp_path, capsys):
    from torch import nn

    from mosaicbench.models.checkpoint import Checkpoint

    (tmp_path / "folder").touch()  # a file where a folder was: as any disk that takes nothing
    checkpoint = Checkpoint(tmp_path / "folder/.checkpoint.pt", lambda: "key", 0.0)
    checkpoint.save_if_due({"net": nn.Linear(1, 1)}, 1, {})
    assert "not saved, training goes on" in capsys.readouterr().err
