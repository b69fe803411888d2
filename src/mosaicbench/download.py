"""Download: bytes from an address into a file that has its final name only when it is complete and right.

What has arrived lies in ``NAME.part``; beside it, ``NAME.part.json`` says from which address, and which version of it. A
transfer that breaks goes on from there (HTTP Range), now or in a later call, unless the address serves another version by then.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

from mosaicbench.errors import UserError

# 10x Genomics answers 403 to the names of Python's libraries.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
TIMEOUT = (20, 60)  # seconds to connect, and without a byte
TRIES = 5  # in a row, without a new byte
BACKOFF = 1.0  # seconds before the second try, doubled for each further one
BUSY = (429, 500, 502, 503, 504)
CHUNK = 2**18
LOG_SECONDS = 15.0


class Unavailable(Exception):
    """One address did not give the right file; the message says why, and the next address may be tried."""


class _Broken(Exception):
    """A transfer ended early; the same address may be asked for the rest."""


def download(
    urls: tuple[str, ...], path: Path, *, size: int | None, verify: Callable[[Path], Any], trusted: bool
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
            try:
                return url, _verified(url, part, size=size, verify=verify, trusted=trusted)
            except Unavailable as reason:
                failures.append(f"  {url}: {reason}")
    raise UserError("no address gave the right file:\n" + "\n".join(failures))


def copy(source: Path, path: Path, *, verify: Callable[[Path], Any]) -> Any:
    """Copy a file of a local mirror, verified like a download; return what `verify` returned."""
    with _part_of(path) as part:
        part.clear()
        _check_space(path, source.stat().st_size)
        with source.open("rb") as file:
            shutil.copyfileobj(file, part.file, CHUNK)
        return _finished(part, verify)


def _verified(url: str, part: _Part, *, size: int | None, verify: Callable[[Path], Any], trusted: bool) -> Any:
    """Complete and verify `part` from one address."""
    has_older_bytes = part.position > 0
    _complete(url, part, size=size, trusted=trusted)
    try:
        return _finished(part, verify)
    except Unavailable:
        if not has_older_bytes:
            raise
    # What lay here before may be to blame: once more, from the first byte.
    _complete(url, part, size=size, trusted=trusted)
    return _finished(part, verify)


def _finished(part: _Part, verify: Callable[[Path], Any]) -> Any:
    """Verify a complete part, give it its final name, and return what `verify` returned; discard it if it is not right."""
    part.file.flush()
    os.fsync(part.file.fileno())
    try:
        found = verify(part.path)
    except Unavailable:
        part.clear()
        raise
    part.become_final()
    return found


def _complete(url: str, part: _Part, *, size: int | None, trusted: bool) -> None:
    """Ask one address until all is here, however often the transfer breaks, as long as each try brings something."""
    fruitless = 0
    with _session(url) as session:
        while True:
            before = part.position
            try:
                return _transfer(session, url, part, size=size, trusted=trusted)
            except _Broken as reason:
                fruitless = 0 if part.position > before else fruitless + 1
                if fruitless == TRIES:
                    raise Unavailable(f"{reason}; gave up after {TRIES} tries without a new byte") from reason
                time.sleep(BACKOFF * 2 ** max(fruitless - 1, 0))


def _transfer(session: requests.Session, url: str, part: _Part, *, size: int | None, trusted: bool) -> None:
    """Make one request for what is missing, and append what comes."""
    if size is not None and part.position == size:
        return
    if not part.may_grow_from(url, trusted=trusted) or (size is not None and part.position > size):
        part.clear()
    with _response(session, url, part) as response:
        _check_answer(response, part)
        length = response.headers.get("Content-Length")
        total = None if length is None else part.position + int(length)
        if None not in (size, total) and total != size:
            part.clear()
            raise Unavailable(f"the file there has {total:,} bytes, expected {size:,}")
        part.note(url, _version(response))
        _check_space(part.path, 0 if length is None else int(length))
        expected = total if size is None else size
        with _progress(part.final.name, part.position, expected) as advance:
            for chunk in _chunks(response):
                part.file.write(chunk)
                advance(len(chunk))
    if expected is not None and part.position < expected:
        raise _Broken(f"the transfer ended after {part.position:,} of {expected:,} bytes")


def _response(session: requests.Session, url: str, part: _Part) -> requests.Response:
    headers = {}
    if part.position:
        headers["Range"] = f"bytes={part.position}-"
        if part.noted.get("url") == url and part.noted.get("version"):
            headers["If-Range"] = part.noted["version"]
    try:
        return session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:  # after the library's own retries
        raise Unavailable(_reason(error)) from error


def _check_answer(response: requests.Response, part: _Part) -> None:
    """Refuse an answer that is not the file, and empty `part` if it is the whole file."""
    if response.status_code == 416 and part.position:
        part.clear()
        raise _Broken("the server has less than what lies here")
    if response.status_code not in (200, 206):
        raise Unavailable(f"the server answered {response.status_code} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html") and part.final.suffix != ".html":
        raise Unavailable("the server sent a web page instead of the file")
    if response.status_code == 200:
        part.clear()
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {part.position}-"):
        part.clear()
        raise _Broken("the server sent another range than was asked for")


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the bytes as they lie on the server; were its encoding undone, a .gz could arrive unpacked."""
    try:
        yield from response.raw.stream(CHUNK, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _Broken(_reason(error)) from error


class _Session(requests.Session):
    """A session that stays encrypted once it is: whoever is between could exchange what comes in the clear."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a redirect leads; one from https to http is refused."""
        target = super().get_redirect_target(resp)
        if target is not None and resp.url.startswith("https:") and not urljoin(resp.url, target).startswith("https:"):
            raise Unavailable(f"it leads from https to {urljoin(resp.url, target)}, which is not encrypted")
        return target


def _session(url: str) -> requests.Session:
    """Return a session that retries while a server is busy, and takes proxies from the environment, except for this machine."""
    session = _Session()
    session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
    session.trust_env = not _is_loopback(urlsplit(url).hostname or "")
    retry = Retry(
        total=TRIES - 1, backoff_factor=BACKOFF, status_forcelist=BUSY, allowed_methods={"GET"}, raise_on_status=False
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _version(response: requests.Response) -> str | None:
    """Return what tells this version of the file from another; a weak ETag does not tell bytes apart."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _reason(error: Exception) -> str:
    """Return the innermost cause, where the libraries wrap it in several layers."""
    while (
        inner := getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, Exception)), None)
    ) is not None:
        if not isinstance(inner, Exception):
            break
        error = inner
    return f"{type(error).__name__}: {error}"


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise UserError(
            f"{path.parent}: {needed:,} bytes are to come, but only {free:,} are free; make room, or choose another folder"
        )


class _Part:
    """The file that grows, and the note beside it of where its bytes are from."""

    def __init__(self, final: Path, path: Path, file: BinaryIO) -> None:
        self.final, self.path, self.file = final, path, file
        self.notes = path.with_name(f"{path.name}.json")
        try:
            self.noted = json.loads(self.notes.read_text())
        except (FileNotFoundError, ValueError):
            self.noted = {}

    @property
    def position(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def may_grow_from(self, url: str, *, trusted: bool) -> bool:
        return trusted or (self.noted.get("url") == url and self.noted.get("version") is not None)

    def clear(self) -> None:
        self.file.truncate(0)

    def note(self, url: str, version: str | None) -> None:
        self.noted = {"url": url, "version": version}
        self.notes.write_text(json.dumps(self.noted))

    def become_final(self) -> None:
        os.replace(self.path, self.final)
        self.notes.unlink(missing_ok=True)


@contextmanager
def _part_of(final: Path) -> Iterator[_Part]:
    """Open what has arrived of a file, for this process alone; what is left of it in the end stays for a later call."""
    final.parent.mkdir(parents=True, exist_ok=True)
    path = final.with_name(f"{final.name}.part")
    with _locked(path) as file:
        part = _Part(final, path, file)
        try:
            yield part
        finally:
            if path.exists() and part.position == 0:
                path.unlink()
                part.notes.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    while True:
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(f"{path}: another process is downloading this file; wait for it, or end it") from error
            # The holder of the lock may have renamed the file between our opening and our locking it.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                yield file
                return


@contextmanager
def _progress(name: str, done: int, total: int | None) -> Iterator[Callable[[int], object]]:
    """Show a bar on a terminal, and a line now and then in a log."""
    if sys.stderr.isatty():
        with tqdm(desc=name, initial=done, total=total, unit="B", unit_scale=True, dynamic_ncols=True, leave=False) as bar:
            yield bar.update
        return
    shown = time.monotonic()

    def advance(more: int) -> None:
        nonlocal done, shown
        done += more
        if time.monotonic() - shown >= LOG_SECONDS:
            shown = time.monotonic()
            share = "" if total is None else f" of {total / 1e6:.1f} MB, {100 * done / total:.0f} %"
            print(f"{name}: {done / 1e6:.1f} MB{share}", file=sys.stderr, flush=True)

    yield advance
