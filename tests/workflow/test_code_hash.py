"""The files that list the code of jobs; what an edit repeats is in test_workflow.py."""

import hashlib
from pathlib import Path

import pytest

from mosaicbench.catalog import catalog
from mosaicbench.errors import NotWritten
from mosaicbench.workflow import code_hash
from mosaicbench.workflow.code_hash import stamp


def test_it_tells_every_file_of_the_code(tmp_path):
    method = catalog.module("methods", "mvae")
    lines = dict(
        line.split("  ")[::-1]
        for line in Path(stamp(tmp_path / "code", "fit", [method])).read_text().splitlines()
    )
    files = code_hash.of("mosaicbench.commands.fit", method)
    assert "mosaicbench/methods/mvae.py" in lines
    assert lines == {
        Path(file).relative_to(code_hash.ROOT).as_posix(): hashlib.sha256(
            Path(file).read_bytes()
        ).hexdigest()
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
