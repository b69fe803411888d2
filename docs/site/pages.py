"""Pages that are made when the site is built, from cards and from files that lie outside of this folder; none is kept.

A page of a method: what its card says, its equation as its file says it, its paths as a picture, and its defaults.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import drawing
import yaml

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces

REPOSITORY = Path(__file__).parents[2]
EVIDENCE = {  # method -> the section of originals.md that holds it against the authors' code
    "mvae": "mvae-mmvae-mopoe",
    "mmvae": "mvae-mmvae-mopoe",
    "mopoe": "mvae-mmvae-mopoe",
    "mmvaepp": "mmvae",
    "scmodal": "scmodal",
    "vae_poe": "the-fusion-vaes",
    "vae_mlp": "the-fusion-vaes",
    "mmaavi_ss": "mmaavi-semi-supervised",
    "dmmvae_encadv": "d-mmvae",
    "dmmvae_outadv": "d-mmvae",
}
PUBLISHED = "<!-- published -->"
PUBLISHED_DATA = """# Published data

`mosaicbench fetch NAME` brings the files of a dataset from their publishers, resumes where it was cut off, tries mirrors, and
holds each file to its checksum where one is known; the workflow does the same by itself. `mosaicbench fetch --list` says what
is there, what is missing, how large it is, and which files were seen by whom. Without internet: fetch the files elsewhere, and
name their folder in `MOSAICBENCH_MIRROR`, as `DATASET/FILE`. [Data](datasets.md) says how each format becomes a split. The
benchmark on 10x Multiome, Hao CITE-seq and TEA-seq:

```sh
mosaicbench plan config/paper.yaml
snakemake --cores all --configfile config/paper.yaml
```

The registry, `config/datasets.yaml`:"""
HEADINGS = {
    "model": "Models",
    "baseline": "Baselines",
    "peer": "Packages of others",
    "control": "Controls",
}


def methods() -> dict[str, dict[str, str]]:
    """Return heading -> label -> method, of every method that has a page."""
    found: dict[str, dict[str, str]] = {heading: {} for heading in HEADINGS.values()}
    for name, card in catalog.cards("methods").items():
        kind = "peer" if "wraps" in card else card["kind"]
        found[HEADINGS[kind]][card["label"]] = name
    return found


def of_method(name: str) -> str:
    """Return the page of a method, as Markdown."""
    card = catalog.card("methods", name)
    parts = [f"# {card['label']}", f"`{name}`, {card['kind']}. {card['summary']}"]
    if card["paper"]:
        doi = f" [doi:{card['doi']}](https://doi.org/{card['doi']})" if card["doi"] else ""
        parts.append(f"*{card['paper']}*{doi}")
    if package := card.get("wraps"):
        parts.append(
            f"Runs the package {package['package']} {package['version']} ({package['licence']})."
        )
    parts += ["## When to take it", _text(card["advice"])] if "advice" in card else []
    parts += ["## What it takes and gives", _capabilities(card)]
    if "paths" in card:
        parts += [
            "## Paths",
            f"![Paths of {card['label']}]({name}.svg)",
            "Drawn for two modalities:",
        ]
        parts.append("\n".join(f"- *{word}*: {drawing.WORDS[word]}." for word in card["paths"]))
    if equation := _equation(name):
        parts += ["## Equation", "As the file of the method has it:", f"```text\n{equation}\n```"]
    parts += ["## Defaults", _defaults(name)]
    parts += (
        ["## What differs from the original", _text(card["deviates"])] if card["deviates"] else []
    )
    if name in EVIDENCE:
        parts += [
            "## RunData",
            f"[Held against the authors' own code](../originals.md#{EVIDENCE[name]}).",
        ]
    return "\n\n".join(parts) + "\n"


def picture(name: str) -> str | None:
    """Return the picture of a method's paths, None where its card has none."""
    card = catalog.card("methods", name)
    return drawing.svg(card["label"], card["paths"]) if "paths" in card else None


def notebook(path: Path) -> str:
    """Return a notebook as Markdown: its texts, and its code in fences."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    return "\n\n".join(
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell, text in zip(cells, texts, strict=True)
    )


def listing(folder: str) -> str:
    """Return a page that lists the files of a folder of the repository, with links to them."""
    files = sorted(path.name for path in (REPOSITORY / folder).iterdir() if path.is_file())
    up = "../" * (folder.count("/") + 2)
    where = f"{up}{folder.removeprefix('docs/')}" if folder.startswith("docs/") else "."
    return f"# {folder}\n\n" + "\n".join(f"- [{name}]({where}/{name})" for name in files) + "\n"


def caption(figure: str) -> str:
    """Return what the card of a figure says of it."""
    return f"*{catalog.card('figures', figure)['caption']}*"


def published_data() -> str:
    """Return the page of the datasets that the registry knows, which `mosaicbench fetch` brings."""
    rows = []
    for name, stanza in yaml.safe_load(
        (REPOSITORY / "config/datasets.yaml").read_text(encoding="utf-8")
    ).items():
        shape = ", ".join(
            f"{key} {value:,}"
            for key, value in (stanza.get("shape") or {}).items()
            if value is not None
        )
        known = [
            bool(file.get("md5") or file.get("sha256"))
            for file in (stanza.get("files") or {}).values()
        ]
        files = (
            f"{len(known)}, of which {sum(known)} with a checksum"
            if known
            else "none: inside a package, or drawn"
        )
        rows.append(
            [
                f"`{name}`",
                *(str(stanza.get(key, "")) for key in ("summary", "labels", "licence", "citation")),
                shape,
                files,
            ]
        )
    header = [
        "id",
        "what it is",
        "where its labels come from",
        "licence",
        "citation",
        "size",
        "files",
    ]
    return f"{PUBLISHED_DATA}\n\n{_table(header, rows)}\n"


def published_numbers() -> str:
    """Return the published numbers as tables, one per definition, each number with its verdict."""
    published = yaml.safe_load((REPOSITORY / "config/published.yaml").read_text(encoding="utf-8"))
    parts = []
    for metric in dict.fromkeys(number["metric"] for number in published["numbers"]):
        lines = [number for number in published["numbers"] if number["metric"] == metric]
        card = catalog.card("metrics", metric) if metric in catalog.names("metrics") else {}
        definition = published["definitions"].get(metric) or card.get("definition", "")
        rows = [
            [number["dataset"], number["scenario"], number["method"], number["direction"], _value(number), number["split"],
             number["verdict"], number["reason"], published["references"][number["reference"]]]
            for number in lines
        ]  # fmt: skip
        header = [
            "dataset",
            "scenario",
            "method",
            "direction",
            "value",
            "split",
            "verdict",
            "why",
            "from",
        ]
        parts.append(f"### `{metric}`\n\n{definition}\n\n{_table(header, rows)}")
    return "\n\n".join(parts)


def _value(number: dict) -> str:
    to = f" to {number['value_to']:g}" if number.get("value_to") is not None else ""
    sd = f" ± {number['sd']:g}" if number.get("sd") is not None else ""
    return f"{number['value']:g}{to}{sd}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )


def _capabilities(card: dict) -> str:
    from mosaicbench.catalog.cards import INPUTS, OUTPUTS, SCENARIOS

    rows = []
    for key, words in (("scenarios", SCENARIOS), ("inputs", INPUTS), ("outputs", OUTPUTS)):
        rows += [f"| {key} | {word} | {words[word]} |" for word in card[key]] or [
            f"| {key} | nothing | |"
        ]
    return "\n".join(["| | word | what it says |", "|---|---|---|", *rows])


def _defaults(name: str) -> str:
    """Return the table of a method's hyperparameters, and over which values a search goes."""
    space = catalog.card("methods", name).get("space", {})
    rows = [
        f"| `{key}` | `{json.dumps(value.default)}` | {spaces.in_words(space[key]) if key in space else ''} |"
        for key, value in catalog.hyperparameters(name).items()
    ]
    return (
        "\n".join(["| hyperparameter | default | when tuned |", "|---|---|---|", *rows])
        if rows
        else "It has none."
    )


def _equation(name: str) -> str:
    """Return the docstrings of a method's file and class, each without its first line and what it says of parameters."""
    texts = [text.partition("Attributes\n---")[0] for text in catalog.documentation(name)]
    bodies = [text.partition("\n")[2].strip("\n") for text in texts]
    return "\n\n".join(filter(None, bodies))


def _text(words: str) -> str:
    """Return a text of a card, in which the names of files of the documentation become links."""
    return re.sub(r"\bdocs/([\w/]+\.md)", r"[\1](../\1)", words)
