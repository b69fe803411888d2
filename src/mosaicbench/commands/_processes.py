"""Work that is done in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

_INHERITED: dict[str, object] = {}  # by forked processes, which get only the place of an item


def each(work: Callable[[object], None], items: Iterable[object], processes: int) -> None:
    """Do the work of every item, in forked processes if several."""
    items = list(items)
    if processes < 2 or not items:
        for item in items:
            work(item)
        return
    _INHERITED.update(work=work, items=items)
    with ProcessPoolExecutor(min(processes, len(items)), get_context("fork")) as pool:
        list(pool.map(_do, range(len(items))))


def _do(place: int) -> None:
    _INHERITED["work"](_INHERITED["items"][place])
