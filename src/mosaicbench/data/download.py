"""Download: bytes from an address into a file that has its final name only when it is complete and right.

What has arrived is in ``NAME.part``; ``NAME.part.json`` beside it names the address and the version of the file there. A
transfer that breaks goes on from there (HTTP Range), now or in a later call, unless the address has another version by then.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
import urllib3
from tqdm import tqdm

from mosaicbench.errors import UserError

# 10x Genomics answers 403 to the names of Python's libraries. With an encoding undone, a .gz would arrive unpacked.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Accept-Encoding": "identity",
}
TIMEOUT = (20, 60)  # seconds to connect, and without a byte
TRIES = 5  # in a row, without a new byte
BACKOFF = 1.0  # seconds before the second try, doubled for each further one
BUSY = (429, 500, 502, 503, 504)
CHUNK = 2**18
LOG_SECONDS = 15.0  # between two reports of progress where there is no terminal


class Unavailable(Exception):
    """One address did not give the right file; the message says why, and the next address may be tried."""


class _Broken(Exception):
    """A transfer ended early; the same address may be asked for the rest, after `wait` seconds if the server says so."""

    def __init__(self, reason: str, wait: float = 0) -> None:
        super().__init__(reason)
        self.wait = wait


def download(
    urls: tuple[str, ...],
    path: Path,
    *,
    size: int | None,
    verify: Callable[[Path], Any],
    trusted: bool,
) -> tuple[str, Any]:
    """Bring one file from the first address that has it; return that address and what `verify` returned.

    Parameters
    ----------
    urls
        http or https addresses, in the order in which to try them.
    path
        The final name; its folder is made.
    size
        Length in bytes, None if unknown.
    verify
        Called with the complete file, not yet under its final name; raises :class:`Unavailable` if it is not the right one.
    trusted
        Whether `verify` can tell the right bytes from others. Then a transfer may be completed from another address.

    Raises
    ------
    UserError
        When no address gave the right file: one line an address with what was wrong; or when the disk is too small, or another
        process is downloading the same file.
    """
    failures = []
    with _part_of(path) as part:
        for url in urls:
            older_bytes = part.position > 0
            try:
                _complete(url, part, size=size, trusted=trusted)
                try:
                    return url, part.become_final(verify)
                except Unavailable:
                    if not older_bytes:
                        raise
                # The bytes of an earlier call may have been wrong: once more, from the first byte.
                _complete(url, part, size=size, trusted=trusted)
                return url, part.become_final(verify)
            except Unavailable as reason:
                failures.append(f"  {url}: {reason}")
    raise UserError("no address gave the right file:\n" + "\n".join(failures))


def copy(source: Path, path: Path, *, verify: Callable[[Path], Any]) -> Any:
    """Copy a file of a local mirror, verified like a download; return what `verify` returned."""
    with _part_of(path) as part:
        part.file.truncate(0)
        _check_space(path, source.stat().st_size)
        with source.open("rb") as file:
            shutil.copyfileobj(file, part.file, CHUNK)
        return part.become_final(verify)


def _complete(url: str, part: _Part, *, size: int | None, trusted: bool) -> None:
    """Ask one address until all is here, however often the transfer breaks, as long as each try brings something."""
    fruitless = 0
    while size is None or part.position != size:
        before = part.position
        try:
            _transfer(url, part, size=size, trusted=trusted)
            if size is None or part.position == size:
                return
            reason = _Broken(f"the transfer ended after {part.position:,} of {size:,} bytes")
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = _Broken(str(error))
        except _Broken as error:
            reason = error
        fruitless = 0 if part.position > before else fruitless + 1
        if fruitless == TRIES:
            raise Unavailable(f"{reason}; gave up after {TRIES} tries without a new byte")
        time.sleep(max(BACKOFF * 2 ** max(fruitless - 1, 0), reason.wait))


def _transfer(url: str, part: _Part, *, size: int | None, trusted: bool) -> None:
    """Make one request for what is missing, and append what comes."""
    version = part.noted.get("version") if part.noted.get("url") == url else None
    if not (trusted or version) or (size is not None and part.position > size):
        part.file.truncate(0)
    headers = dict(HEADERS)
    if part.position:
        headers |= {"Range": f"bytes={part.position}-"} | ({"If-Range": version} if version else {})
    hooks = {"response": _refuse_unencrypted}
    with requests.get(url, headers=headers, hooks=hooks, stream=True, timeout=TIMEOUT) as response:
        coming = _check_answer(response, part, size)
        tag = response.headers.get("ETag", "")  # a weak one does not tell bytes apart
        part.note(url, tag if tag.startswith('"') else response.headers.get("Last-Modified"))
        quiet = not sys.stderr.isatty()
        with tqdm(
            desc=part.final.name,
            total=part.position + coming if coming else None,
            initial=part.position,
            unit="B",
            unit_scale=True,
            mininterval=LOG_SECONDS if quiet else 0.1,
            delay=LOG_SECONDS if quiet else 0,
        ) as bar:
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                part.file.write(chunk)
                bar.update(len(chunk))


def _refuse_unencrypted(response: requests.Response, **_: object) -> None:
    """Refuse to be led from https to http: whoever is between could exchange what comes in the clear."""
    target = urljoin(response.url, response.headers.get("Location", ""))
    encrypted = target.startswith("https:") or not response.url.startswith("https:")
    if response.is_redirect and not encrypted:
        raise Unavailable(f"it leads from https to {target}, which is not encrypted")


def _check_answer(response: requests.Response, part: _Part, size: int | None) -> int:
    """Refuse an answer that is not the file, or for which there is no room; return how many bytes come, 0 if unknown.

    Where the whole file comes, `part` is emptied.
    """
    status, kind = response.status_code, response.headers.get("Content-Type", "")
    if status in BUSY:
        wait = urllib3.Retry().get_retry_after(response.raw) or 0
        raise _Broken(f"the server answered {status} {response.reason}", wait)
    if status == 416 and part.position:
        part.file.truncate(0)
        raise _Broken("the server has less than what is here")
    if status not in (200, 206):
        raise Unavailable(f"the server answered {status} {response.reason}")
    if kind.startswith("text/html") and part.final.suffix != ".html":
        raise Unavailable("the server sent a web page instead of the file")
    start = f"bytes {part.position}-"
    if status == 200 or not response.headers.get("Content-Range", "").startswith(start):
        part.file.truncate(0)
        if status == 206:
            raise _Broken("the server sent another range than was asked for")
    coming = int(response.headers.get("Content-Length", 0))
    if coming and size is not None and part.position + coming != size:
        there = part.position + coming
        part.file.truncate(0)
        raise Unavailable(f"the file there has {there:,} bytes, expected {size:,}")
    _check_space(part.path, coming)
    return coming


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise UserError(
            f"{path.parent}: {needed:,} bytes are to come, but only {free:,} are free; make room, or choose another folder"
        )


class _Part:
    """The file that grows, and the note beside it of where its bytes are from."""

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
        """Verify the complete file, give it its final name, and return what `verify` returned; empty it if it is not right."""
        self.file.flush()
        os.fsync(self.file.fileno())
        try:
            found = verify(self.path)
        except Unavailable:
            self.file.truncate(0)
            raise
        os.replace(self.path, self.final)
        return found


@contextmanager
def _part_of(final: Path) -> Iterator[_Part]:
    """Open what has arrived of a file, for this process alone; what is left of it in the end stays for a later call."""
    final.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(final)
    try:
        fcntl.flock(part.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder of the lock may have renamed the file between our opening and our locking it.
        if not os.path.samestat(part.path.stat(), os.fstat(part.file.fileno())):
            raise FileNotFoundError(part.path)
    except (BlockingIOError, FileNotFoundError) as error:
        part.file.close()
        raise UserError(
            f"{part.path}: another process is downloading this file; wait for it, or end it"
        ) from error
    with part.file:
        try:
            yield part
        finally:
            if not part.path.exists() or part.position == 0:
                part.path.unlink(missing_ok=True)
                part.notes.unlink(missing_ok=True)
