"""Hooks of the site's build: pages from cards, pages of files outside of ``docs``, and links to both.

A link that leaves ``docs`` leads to a page if it names Markdown (README.md is the first page), otherwise to a copy of the file,
so the site needs no network.
"""

from __future__ import annotations

import json
import posixpath
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(HERE), str(REPOSITORY / "src")]

import leaderboard  # noqa: E402
import pages  # noqa: E402
import reference  # noqa: E402
import scores  # noqa: E402
from mkdocs.plugins import event_priority  # noqa: E402
from mkdocs.structure.files import File  # noqa: E402

from mosaicbench.files import reference as stored  # noqa: E402

LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?(?=\))")
README, DOCS, CLAIMS = "README.md", REPOSITORY / "docs", "results/claims.md"
WORKER = """if (location.protocol === "file:") {
  const file = URL.createObjectURL(new Blob([CODE]));
  window.Worker = class extends Worker { constructor() { super(file); } };
}
"""
origins: dict[str, str] = {}  # page of the site -> its file outside of docs


def on_config(config):
    """Add the pages of methods and studies to the navigation."""
    groups = pages.methods().items()
    methods = [{heading: _entries(names)} for heading, names in groups]
    studies = sorted(f"results/{path.name}" for path in DOCS.glob("results/*.md"))
    studies.remove(CLAIMS)
    for section in config["nav"]:
        section.get("Methods", []).extend(methods)
        section.get("Results", []).extend(studies)
    return config


def _entries(names: dict[str, str]) -> list[dict[str, str]]:
    return [{label: f"methods/{name}.md"} for label, name in names.items()]


def on_files(files, config):
    """Add generated pages, and copies of linked files outside of ``docs``."""

    def add(place: str, content: str) -> None:
        files.append(File.generated(config, place, content=content))

    for names in pages.methods().values():
        for name in names.values():
            add(f"methods/{name}.md", pages.of_method(name))
            if drawn := pages.picture(name):
                add(f"methods/{name}.svg", drawn)
            if drawn := scores.picture(name):
                add(f"methods/{name}_scores.svg", drawn)
    for path in DOCS.glob("*.ipynb"):
        add(f"{path.stem}.md", pages.notebook(path))
    add("published_data.md", pages.published_data())
    add("leaderboard.md", leaderboard.page(stored.read()))
    add("command_line.md", reference.command_line())
    add("python.md", reference.python())
    waiting, seen = [README], set()
    for path in DOCS.rglob("*.md"):
        waiting += _left(path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8"))
    while waiting:
        source = waiting.pop()
        path, place = REPOSITORY / source, _place(source)
        if source in seen or not path.exists():  # the build reports a broken link
            continue
        seen.add(source)
        if path.is_dir():
            add(place, pages.listing(source))
            inside = path.iterdir() if DOCS not in path.parents else ()
            waiting += [file.relative_to(REPOSITORY).as_posix() for file in inside]
        elif source.endswith(".md"):
            origins[place] = source
            text = path.read_text(encoding="utf-8")
            add(place, text)
            waiting += _left(source, text)
        else:
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fill in captions and published numbers, and point links to pages and copies on the site."""
    here = page.file.src_uri
    if here == CLAIMS:
        markdown = markdown.replace(pages.PUBLISHED, pages.published_numbers())
    if here in ("methods.md", "peers.md"):
        row = re.compile(r"^\| `(\w+)` \|", flags=re.MULTILINE)
        markdown = row.sub(r"| [`\1`](methods/\1.md) |", markdown)
    markdown = re.sub(r"<!-- caption (\w+) -->", lambda match: pages.caption(match[1]), markdown)
    source = origins.get(here, f"docs/{here}")

    def on_site(match: re.Match) -> str:
        target = _target(source, match[1])
        inside = target.startswith("docs/") and not (REPOSITORY / target).is_dir()
        place = target.removeprefix("docs/") if inside else _place(target)
        place = place.replace(".ipynb", ".md")
        return posixpath.relpath(place, posixpath.dirname(here) or ".") + (match[2] or "")

    return LINK.sub(on_site, markdown)


@event_priority(-100)  # after the search plugin has written the index
def on_post_build(config):
    """Make search work from disk, where a page may read neither the index nor the worker's file: both become scripts."""
    site = Path(config["site_dir"])
    index = (site / "search/search_index.json").read_text(encoding="utf-8")
    (site / "search/search_index.js").write_text(f"var __index = {index}", encoding="utf-8")
    (worker,) = site.glob("assets/javascripts/workers/search.*.min.js")
    code = json.dumps(worker.read_text(encoding="utf-8"))
    (site / "search/worker.js").write_text(WORKER.replace("CODE", code), encoding="utf-8")


def _left(source: str, text: str) -> list[str]:
    """Return the targets of a file's links that MkDocs does not find: files outside of ``docs``, and folders."""
    targets = [_target(source, match[1]) for match in LINK.finditer(text)]
    return [x for x in targets if not x.startswith("docs/") or (REPOSITORY / x).is_dir()]


def _target(source: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _place(source: str) -> str:
    """Return the place of a file of the repository on the site."""
    if source == README:
        return "index.md"
    if (REPOSITORY / source).is_dir():
        return f"repository/{source}/contents.md"
    return f"repository/{source}".replace("/README.md", "/readme.md")
