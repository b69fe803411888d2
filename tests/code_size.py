"""How large the project is: tokens of code, words of docstrings, rooms. Run by ``make size``.

Tokens are those of `tokenize` without comments, docstrings, line ends and indents, so that neither packing nor wrapping counts.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src/mosaicbench"
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
WRITTEN = re.compile(r"<!-- (\w+) -->.*?<!-- /\1 -->", re.DOTALL)  # tables of cards, of studies
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def size(file: Path) -> dict[str, int]:
    """Return tokens of code, words of docstrings and packed comprehensions of a Python file."""
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    docstrings = [
        node.body[0]
        for node in ast.walk(tree)
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False)
    ]
    starts = {(docstring.lineno, docstring.col_offset) for docstring in docstrings}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        "tokens": sum(t.type not in NO_CODE and t.start not in starts for t in tokens),
        "docstring words": sum(len(docstring.value.value.split()) for docstring in docstrings),
        "packed comprehensions": sum(map(_is_packed, ast.walk(tree))),
        "lines": text.count("\n"),
    }


def _is_packed(node: ast.AST) -> bool:
    """Whether a comprehension has two loops or another one inside."""
    if not isinstance(node, COMPREHENSIONS):
        return False
    inner = sum(isinstance(child, COMPREHENSIONS) for child in ast.walk(node)) - 1
    return len(node.generators) > 1 or inner > 0


def sizes(folder: Path) -> dict[str, int]:
    """Return the sums over a folder's Python files."""
    files = [size(file) for file in folder.rglob("*.py")]
    return {name: sum(file[name] for file in files) for name in files[0]}


def rules() -> dict[str, int]:
    """Return lines and helper functions of the workflow's rules."""
    text = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("workflow/**/*.smk"))
    return {"lines": text.count("\n"), "helper functions": text.count("\ndef ")}


def documents() -> int:
    """Return bytes of hand-written Markdown: without the changelog and without what scripts write into pages."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("config/**/*.md")]
    texts = [page.read_text(encoding="utf-8") for page in pages if page.name != "CHANGELOG.md"]
    return sum(len(WRITTEN.sub("", text).encode()) for text in texts)


def rooms() -> list[str]:
    """Return folders and files at the top of the package."""
    inside = [path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or path.is_dir()]
    return sorted(name for name in inside if not name.startswith("__"))


if __name__ == "__main__":
    for name in ("src", "tests", "benchmarks", "docs/site"):
        print(f"{name}: {', '.join(f'{n:,} {what}' for what, n in sizes(ROOT / name).items())}")
    print(f"rules: {', '.join(f'{n:,} {what}' for what, n in rules().items())}")
    print(f"hand-written pages: {documents() / 1000:,.0f} KB")
    print(f"rooms: {len(rooms())}")
