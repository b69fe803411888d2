"""The code of jobs, and the files that list it; that an edit of it repeats jobs is in test_workflow.py."""

import hashlib
from pathlib import Path

import pytest

from mosaicbench.catalog import catalog
from mosaicbench.config import jobs, settings
from mosaicbench.errors import NotWritten
from mosaicbench.workflow import code_hash
from mosaicbench.workflow.code_hash import stamp

PLACE = {"dataset": "pbmc68k_split", "scenario": "paired"}
CONFIG = {
    "datasets": {"pbmc68k_split": {}},
    "scenarios": {"paired": {"kind": "paired"}},
    "runs": {"mvae": {}, "other": {"method": "mvae"}, "mmvaepp": {}, "cca": {}, "oracle": {}},
}
JOBS = {
    "prepare": ("prepare", {"dataset": "pbmc68k_split"}),
    "split": ("split", PLACE),
    "mvae": ("fit", PLACE | {"run": "mvae"}),
    "other": ("fit", PLACE | {"run": "other"}),
    "mmvaepp": ("fit", PLACE | {"run": "mmvaepp"}),
    "cheap": ("fit", PLACE),
    "score": ("score", PLACE),
    "draw": ("draw", {}),
    "report": ("report", {}),
}


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """Return job -> the files of the package that are its code."""
    folder, bench, found = tmp_path_factory.mktemp("code"), settings.load(CONFIG), {}
    for name, (command, wildcards) in JOBS.items():
        lines = Path(stamp(folder, command, *jobs.code(command, bench, wildcards))).read_text()
        found[name] = {line.split("  mosaicbench/")[1] for line in lines.splitlines()}
    return found


@pytest.mark.parametrize(
    ("file", "expected"),
    {
        "datasets/pbmc68k_split.py": "prepare",
        "datasets/simulated.py": "",
        "methods/mvae.py": "mvae other",
        "methods/linear.py": "cheap",
        "models/training.py": "mmvaepp mvae other",
        "metrics/alignment.py": "score",
        "files/scores.py": "draw report score",
        "workflow/layout.py": "draw report",
        "figures/resources.py": "draw",
        "report/page/report.html.j2": "report",
        "report/page/assets/page.css": "report",
        "workflow/cluster.py": "",
        "workflow/attempts.py": "",
        "config/jobs.py": "",
        "cli.py": "",
    }.items(),
)
def test_a_file_is_the_code_of_the_jobs_whose_results_it_changes(code, file, expected):
    assert sorted(job for job, files in code.items() if file in files) == expected.split()


def test_it_tells_every_file_of_the_code(tmp_path):
    method = catalog.module("methods", "mvae")
    text = Path(stamp(tmp_path / "code", "fit", [method])).read_text()
    lines = dict(line.split("  ")[::-1] for line in text.splitlines())
    files = map(Path, code_hash.of("mosaicbench.commands.fit", method))
    assert lines == {
        file.relative_to(code_hash.ROOT).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def test_each_code_has_a_file_of_its_own(tmp_path):
    methods = [catalog.module("methods", name) for name in ("mvae", "mmvae")]
    written = [
        stamp(tmp_path, "fit"),
        stamp(tmp_path, "split"),
        *(stamp(tmp_path, "fit", [method]) for method in methods),
    ]
    written.append(stamp(tmp_path, "fit", methods))
    assert len(set(written)) == 5
    assert stamp(tmp_path, "fit", methods[::-1]) == written[-1]
    assert sorted(tmp_path.iterdir()) == sorted(map(Path, written))


@pytest.mark.parametrize("damage", [lambda path: path.write_text("old\n"), Path.unlink])
def test_it_is_written_only_where_it_does_not_say_so(tmp_path, damage):
    path = Path(stamp(tmp_path, "split"))
    before = path.stat().st_mtime_ns, path.stat().st_ino
    stamp(tmp_path, "split")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    text = path.read_text()
    damage(path)
    stamp(tmp_path, "split")
    assert path.read_text() == text


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "code").write_text("")
    with pytest.raises(NotWritten, match="code"):
        stamp(tmp_path / "code", "split")
