"""Which room of the package imports which: what docs/architecture.md shows and tests/test_architecture.py holds to its table.

A room is a folder of the package, or a file beside the folders. Standard library only.
"""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def room(path: Path) -> str:
    """Return the room of a file of the package."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> tuple[set[str], set[str]]:
    """Return (rooms of the package, other packages) that a file imports, outside type checking and the standard library.

    Raises
    ------
    ValueError
        At a relative import, which hides where a name comes from.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}: relative imports hide where a name comes from")
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    parts = [name.split(".") for name in names]
    inside = {rest[0] for first, *rest in parts if first == PACKAGE.name} - {"__version__"}
    return inside, {first for first, *_ in parts if first != PACKAGE.name} - set(
        sys.stdlib_module_names
    )


def graph() -> dict[str, set[str]]:
    """Return room -> the other rooms that its files import."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name != "__init__.py":
            found.setdefault(room(path), set()).update(imports(path)[0] - {room(path)})
    return found


def table() -> list[tuple[int, str, str]]:
    """Return (level, room, the rooms that it imports), the highest level first: a room imports only from lower levels.

    Raises
    ------
    graphlib.CycleError
        When rooms import each other in a circle.
    """
    known = graph()
    level: dict[str, int] = {}
    for name in TopologicalSorter(known).static_order():
        level[name] = 1 + max((level[lower] for lower in known[name]), default=-1)
    order = sorted(known, key=lambda name: (-level[name], name))
    return [(level[name], name, ", ".join(sorted(known[name])) or "nothing") for name in order]
