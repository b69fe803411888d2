"""What wrapped packages share: they are imported only when a run asks for them, and only where they are installed."""

from __future__ import annotations

from importlib.util import find_spec

from mosaicbench.errors import NotApplicable


def need(wraps: dict[str, str]) -> None:
    """Refuse the run where the package that a card's `wraps` names is not installed.

    Raises
    ------
    NotApplicable
        Says what to install: the run becomes a row with that status, a dash in tables.
    """
    if find_spec(wraps["module"]) is None:
        raise NotApplicable(f"the package {wraps['package']} is not installed; `make peers` installs {wraps['version']}")
