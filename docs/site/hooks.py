"""What MkDocs calls while it builds the site: pages from cards, pages of files outside of ``docs``, and links to both.

A link that leaves ``docs`` leads to a page if it names Markdown (README.md is the first page), else to a copy of the file: the
site holds all that it speaks of and needs no network.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(HERE), str(REPOSITORY / "src")]

import pages  # noqa: E402
from mkdocs.structure.files import File  # noqa: E402

LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?(?=\))")
README, DOCS, CLAIMS = "README.md", REPOSITORY / "docs", "claims"
origins: dict[
    str, str
] = {}  # page of the site -> the file of the repository that it is made of, where that lies outside of docs


def on_config(config):
    """Add the pages of methods and studies to the contents, and under "More" those that mkdocs.yml does not place."""
    entries = [{heading: [{label: f"methods/{name}.md"} for label, name in of_heading.items()]}
               for heading, of_heading in pages.methods().items()]  # fmt: skip
    for section in config["nav"]:
        if "Methods" in section:
            section["Methods"] += entries
    for section in config["nav"]:
        if "Results" in section:
            section["Results"] += [
                f"results/{path.name}"
                for path in sorted((DOCS / "results").glob("*.md"))
                if path.stem != CLAIMS
            ]
    named = set(re.findall(r"[\w/]+\.md", str(config["nav"])))
    if others := sorted(path.name for path in DOCS.glob("*.md") if path.name not in named):
        config["nav"].append({"More": others})
    return config


def on_files(files, config):
    """Add what is made and what is copied."""
    for of_heading in pages.methods().values():
        for name in of_heading.values():
            files.append(
                File.generated(config, f"methods/{name}.md", content=pages.of_method(name))
            )
            if drawn := pages.picture(name):
                files.append(File.generated(config, f"methods/{name}.svg", content=drawn))
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            made = pages.notebook(Path(file.abs_src_path))
            files.append(
                File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=made)
            )
    waiting, seen = [README], set()
    files.append(File.generated(config, "published_data.md", content=pages.published_data()))
    for path in DOCS.rglob("*.md"):
        waiting += _left(path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8"))
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        path, place = REPOSITORY / source, _place(source)
        if not path.exists():
            continue  # the link leads nowhere, and the build says so
        if path.is_dir():
            files.append(File.generated(config, place, content=pages.listing(source)))
            waiting += [
                file.relative_to(REPOSITORY).as_posix()
                for file in path.iterdir()
                if DOCS not in path.parents
            ]
        elif source.endswith(".md"):
            origins[place] = source
            text = path.read_text(encoding="utf-8")
            files.append(File.generated(config, place, content=text))
            waiting += _left(source, text)
        else:
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Lead links that leave ``docs`` to where their files lie on the site."""
    here = page.file.src_uri
    if here == f"results/{CLAIMS}.md":
        markdown = markdown.replace(pages.PUBLISHED, pages.published_numbers())
    if here in ("methods.md", "peers.md"):
        markdown = re.sub(
            r"^\| `(\w+)` \|", r"| [`\1`](methods/\1.md) |", markdown, flags=re.MULTILINE
        )
    markdown = re.sub(r"<!-- caption (\w+) -->", lambda match: pages.caption(match[1]), markdown)
    source = origins.get(here, f"docs/{here}")

    def led(match: re.Match) -> str:
        target = _target(source, match[1])
        inside = target.startswith("docs/") and not (REPOSITORY / target).is_dir()
        place = target.removeprefix("docs/") if inside else _place(target)
        place = place.replace(".ipynb", ".md")
        return posixpath.relpath(place, posixpath.dirname(here) or ".") + (match[2] or "")

    return LINK.sub(led, markdown)


def _left(source: str, text: str) -> list[str]:
    """Return what a file links to that MkDocs does not see by itself: files outside of ``docs``, and folders."""
    targets = [_target(source, match[1]) for match in LINK.finditer(text)]
    return [
        target
        for target in targets
        if not target.startswith("docs/") or (REPOSITORY / target).is_dir()
    ]


def _target(source: str, link: str) -> str:
    """Return the path in the repository that a link of one of its files names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _place(source: str) -> str:
    """Return where a file of the repository lies on the site."""
    if source == README:
        return "index.md"
    if (REPOSITORY / source).is_dir():
        return f"repository/{source}/contents.md"
    return f"repository/{source}".replace("/README.md", "/readme.md")
