"""Download: bytes from an address into a file that has its final name only when it is complete and right.

What has arrived lies in ``NAME.part``; beside it, ``NAME.part.json`` says from which address, and which version of it. A
transfer that breaks goes on from there (HTTP Range), now or in a later call, unless the address serves another version by then.
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
from typing import Any, BinaryIO
from urllib.parse import urljoin

import pooch
import requests
import urllib3
from tqdm import tqdm

from mosaicbench.errors import UserError

# 10x Genomics answers 403 to the names of Python's libraries.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
TIMEOUT = (20, 60)  # seconds to connect, and without a byte
TRIES = 5  # in a row, without a new byte
BACKOFF = 1.0  # seconds before the second try, doubled for each further one
BUSY = (429, 500, 502, 503, 504)
LOOPBACK = "localhost,127.0.0.0/8,::1"
CHUNK = 2**18
LOG_SECONDS = 15.0


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


def _verified(
    url: str, part: _Part, *, size: int | None, verify: Callable[[Path], Any], trusted: bool
) -> Any:
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
    while True:
        before = part.position
        try:
            return _transfer(url, part, size=size, trusted=trusted)
        except _Broken as reason:
            fruitless = 0 if part.position > before else fruitless + 1
            if fruitless == TRIES:
                raise Unavailable(
                    f"{reason}; gave up after {TRIES} tries without a new byte"
                ) from reason
            time.sleep(max(BACKOFF * 2 ** max(fruitless - 1, 0), reason.wait))


def _transfer(url: str, part: _Part, *, size: int | None, trusted: bool) -> None:
    """Make one request for what is missing; pooch appends what comes, if the answer is what was asked for."""
    if size is not None and part.position == size:
        return
    if not part.may_grow_from(url, trusted=trusted) or (size is not None and part.position > size):
        part.clear()

    def check(response: requests.Response, **_: object) -> requests.Response:
        _refuse_unencrypted(response)
        if not response.is_redirect:
            _check_answer(response, part, size)
            part.note(url, _version(response))
            # The bytes as they lie on the server: were an encoding undone, a .gz could arrive unpacked.
            response.iter_content = lambda chunk_size: response.raw.stream(
                chunk_size, decode_content=False
            )
        return response

    progress = _Progress(part)
    ask = {
        "headers": _headers(url, part),
        "proxies": {"no_proxy": _without_proxy()},
        "hooks": {"response": check},
    }
    try:
        pooch.HTTPDownloader(progressbar=progress, chunk_size=CHUNK, timeout=TIMEOUT, **ask)(
            url, part.file, None
        )
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _Broken(_reason(error)) from error
    finally:
        progress.close()
    if size is not None and part.position < size:
        raise _Broken(f"the transfer ended after {part.position:,} of {size:,} bytes")


def _headers(url: str, part: _Part) -> dict[str, str]:
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if part.position:
        headers["Range"] = f"bytes={part.position}-"
        if part.noted.get("url") == url and part.noted.get("version"):
            headers["If-Range"] = part.noted["version"]
    return headers


def _without_proxy() -> str:
    """Return the hosts that are asked without the proxy of the environment: those that it names, and this machine."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return named if named == "*" else f"{named},{LOOPBACK}"


def _refuse_unencrypted(response: requests.Response) -> None:
    """Refuse to be led from https to http: whoever is between could exchange what comes in the clear."""
    target = urljoin(response.url, response.headers.get("Location", ""))
    if (
        response.is_redirect
        and response.url.startswith("https:")
        and not target.startswith("https:")
    ):
        raise Unavailable(f"it leads from https to {target}, which is not encrypted")


def _check_answer(response: requests.Response, part: _Part, size: int | None) -> None:
    """Refuse an answer that is not the file, or for which there is no room; empty `part` if it is the whole file."""
    if response.status_code in BUSY:
        wait = urllib3.Retry().get_retry_after(response.raw) or 0
        raise _Broken(f"the server answered {response.status_code} {response.reason}", wait)
    if response.status_code == 416 and part.position:
        part.clear()
        raise _Broken("the server has less than what lies here")
    if response.status_code not in (200, 206):
        raise Unavailable(f"the server answered {response.status_code} {response.reason}")
    if (
        response.headers.get("Content-Type", "").startswith("text/html")
        and part.final.suffix != ".html"
    ):
        raise Unavailable("the server sent a web page instead of the file")
    if response.status_code == 200:
        part.clear()
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {part.position}-"):
        part.clear()
        raise _Broken("the server sent another range than was asked for")
    coming = response.headers.get("Content-Length")
    if coming is not None and size is not None and part.position + int(coming) != size:
        there = part.position + int(coming)
        part.clear()
        raise Unavailable(f"the file there has {there:,} bytes, expected {size:,}")
    _check_space(part.path, int(coming or 0))


def _version(response: requests.Response) -> str | None:
    """Return what tells this version of the file from another; a weak ETag does not tell bytes apart."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _reason(error: Exception) -> str:
    """Return the innermost cause, where the libraries wrap it in several layers."""
    while (
        inner := getattr(error, "reason", None)
        or next((a for a in error.args if isinstance(a, Exception)), None)
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
                raise UserError(
                    f"{path}: another process is downloading this file; wait for it, or end it"
                ) from error
            # The holder of the lock may have renamed the file between our opening and our locking it.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                yield file
                return


class _Progress:
    """What pooch reports to: a bar on a terminal, a line now and then in a log."""

    def __init__(self, part: _Part) -> None:
        self.part, self.shown = part, time.monotonic()
        style = {
            "initial": part.position,
            "unit": "B",
            "unit_scale": True,
            "dynamic_ncols": True,
            "leave": False,
        }
        self.bar = tqdm(desc=part.final.name, disable=not sys.stderr.isatty(), **style)

    @property
    def total(self) -> int | None:
        """Length of the whole file, None if unknown; pooch sets what is to come, 0 if unknown."""
        return self.bar.total

    @total.setter
    def total(self, coming: int) -> None:
        self.bar.total = self.part.position + coming if coming else None

    def update(self, _: int) -> None:
        """Show how much lies here."""
        done = self.part.position
        self.bar.update(done - self.bar.n)
        if self.bar.disable and time.monotonic() - self.shown >= LOG_SECONDS:
            self.shown = time.monotonic()
            share = (
                ""
                if self.total is None
                else f" of {self.total / 1e6:.1f} MB, {100 * done / self.total:.0f} %"
            )
            print(
                f"{self.part.final.name}: {done / 1e6:.1f} MB{share}", file=sys.stderr, flush=True
            )

    def reset(self) -> None:
        """Keep what is shown: it is read off the file."""

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()
