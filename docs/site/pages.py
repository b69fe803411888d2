"""Pages made when the site is built, from cards and from files outside of this folder; none is kept.

A page of a method has its card, the equation of its file, a picture of its paths, and its defaults.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import drawing
import scores
import yaml
from blocks import table

from mosaicbench.catalog import catalog
from mosaicbench.catalog import search_spaces as spaces
from mosaicbench.catalog.cards import INPUTS, OUTPUTS, SCENARIOS

REPOSITORY = Path(__file__).parents[2]
ORIGINALS = {  # method -> the section of originals.md that compares it with the authors' code
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

`mosaicbench fetch NAME` downloads the files of a dataset from their publishers, resumes interrupted downloads, tries mirrors,
and verifies checksums; the workflow does the same. `mosaicbench fetch --list` lists present and missing files, their sizes, and
how they were verified. Without internet, fetch the files elsewhere, and name their folder, with files `DATASET/FILE`, in
`MOSAICBENCH_MIRROR`. [Data formats](datasets.md) explains the way from a file to a split. The benchmark on 10x Multiome, Hao
CITE-seq and TEA-seq:

```sh
mosaicbench plan config/paper.yaml
snakemake --cores all --configfile config/paper.yaml
```

The registry, `config/datasets.yaml`:"""
SCORES = """Means over seeds and directions. Compare within a row's cells only; an
[interval and a test](../statistics.md) say whether a difference is real."""
HEADINGS = {
    "model": "Models",
    "baseline": "Baselines",
    "peer": "Wrapped packages",
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
        version = f"{package['package']} {package['version']} ({package['licence']})"
        parts.append(f"Runs the package {version}.")
    if "advice" in card:
        parts += ["## When to use it", _linked(card["advice"])]
    parts += ["## Scenarios, inputs and outputs", _capabilities(card)]
    if scores.picture(name):
        image = f"![Scores of {card['label']} among models and baselines]({name}_scores.svg)"
        parts += ["## Scores", image, SCORES, scores.of_method(name)]
    if "paths" in card:
        image = f"![Paths of {card['label']}]({name}.svg)"
        words = "\n".join(f"- *{word}*: {drawing.WORDS[word]}." for word in card["paths"])
        parts += ["## Paths", image, "Drawn for two modalities:", words]
    if equation := _equation(name):
        parts += ["## Equation", f"From the file of the method:\n\n```text\n{equation}\n```"]
    parts += ["## Defaults", _defaults(name)]
    if card["deviates"]:
        parts += ["## Differences from the original", _linked(card["deviates"])]
    if name in ORIGINALS:
        link = f"[Comparison with the authors' code](../originals.md#{ORIGINALS[name]})."
        parts += ["## Evidence", link]
    return "\n\n".join(parts) + "\n"


def picture(name: str) -> str | None:
    """Return the picture of a method's paths, None where its card has none."""
    card = catalog.card("methods", name)
    return drawing.svg(card["label"], card["paths"]) if "paths" in card else None


def notebook(path: Path) -> str:
    """Return a notebook as Markdown: its texts, its code in fences, and its outputs."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        parts += [_output(one["data"]) for one in cell.get("outputs", [])]
    return "\n\n".join(parts)


def _output(data: dict[str, str]) -> str:
    if "image/png" in data:
        return f"![Figure of this cell](data:image/png;base64,{data['image/png']})"
    if "text/html" in data:
        return data["text/html"].replace(
            ' class="dataframe"', ""
        )  # the site styles tables without a class
    return f"```text\n{data['text/plain']}\n```"


def listing(folder: str) -> str:
    """Return a page that lists the files of a folder of the repository, with links to them."""
    files = sorted(path.name for path in (REPOSITORY / folder).iterdir() if path.is_file())
    up = "../" * (folder.count("/") + 2)
    where = f"{up}{folder.removeprefix('docs/')}" if folder.startswith("docs/") else "."
    return f"# {folder}\n\n" + "\n".join(f"- [{name}]({where}/{name})" for name in files) + "\n"


def caption(figure: str) -> str:
    """Return the caption of a figure's card."""
    return f"*{catalog.card('figures', figure)['caption']}*"


def published_data() -> str:
    """Return the page of the registry's datasets, which `mosaicbench fetch` downloads."""
    rows = []
    for name, stanza in _config("datasets").items():
        shape = (stanza.get("shape") or {}).items()
        sizes = ", ".join(f"{key} {value:,}" for key, value in shape if value is not None)
        files = (stanza.get("files") or {}).values()
        verified = sum(bool(file.get("md5") or file.get("sha256")) for file in files)
        listed = (
            f"{len(files)}, {verified} with a checksum"
            if files
            else "none: in a package, or simulated"
        )
        texts = [stanza.get(key, "") for key in ("summary", "labels", "licence", "citation")]
        rows.append([f"`{name}`", *texts, sizes, listed])
    header = ["id", "content", "source of labels", "licence", "citation", "size", "files"]
    return f"{PUBLISHED_DATA}\n\n{table(header, rows)}\n"


def published_numbers() -> str:
    """Return the published numbers as tables, one per definition, each number with its verdict."""
    published, parts = _config("published"), []
    header = [
        "dataset",
        "scenario",
        "method",
        "direction",
        "value",
        "split",
        "verdict",
        "reason",
        "source",
    ]
    for metric in dict.fromkeys(number["metric"] for number in published["numbers"]):
        rows = []
        for number in published["numbers"]:
            if number["metric"] == metric:
                cells = {**number, "value": _value(number), "verdict": _verdict(number)}
                source = published["references"][number["reference"]]
                rows.append([*(cells[key] for key in header[:-1]), source])
        card = catalog.card("metrics", metric) if metric in catalog.names("metrics") else {}
        definition = published["definitions"].get(metric) or card.get("definition", "")
        parts.append(f"### `{metric}`\n\n{definition}\n\n{table(header, rows)}")
    return "\n\n".join(parts)


def _config(name: str) -> dict:
    return yaml.safe_load((REPOSITORY / f"config/{name}.yaml").read_text(encoding="utf-8"))


def _value(number: dict) -> str:
    last = f" to {number['value_to']:g}" if number.get("value_to") is not None else ""
    sd = f" ± {number['sd']:g}" if number.get("sd") is not None else ""
    return f"{number['value']:g}{last}{sd}"


def _verdict(number: dict) -> str:
    protocol = number.get("protocol")
    return number["verdict"] + (f", by `config/protocols/{protocol}.yaml`" if protocol else "")


def _capabilities(card: dict) -> str:
    rows = []
    for key, words in (("scenarios", SCENARIOS), ("inputs", INPUTS), ("outputs", OUTPUTS)):
        rows += [[key, word, words[word]] for word in card[key]] or [[key, "none", ""]]
    return table(["", "word", "meaning"], rows)


def _defaults(name: str) -> str:
    """Return the table of a method's hyperparameters and their search ranges."""
    space, rows = catalog.card("methods", name).get("space", {}), []
    for key, value in catalog.hyperparameters(name).items():
        searched = spaces.in_words(space[key]) if key in space else ""
        rows.append([f"`{key}`", f"`{json.dumps(value.default)}`", searched])
    return table(["hyperparameter", "default", "when tuned"], rows) if rows else "None."


def _equation(name: str) -> str:
    """Return the docstrings of a method's file and class, each without its first line and its attributes."""
    texts = [text.partition("Attributes\n---")[0] for text in catalog.documentation(name)]
    bodies = [text.partition("\n")[2].strip("\n") for text in texts]
    return "\n\n".join(filter(None, bodies))


def _linked(text: str) -> str:
    """Return a card's text with the names of pages as links."""
    return re.sub(r"\bdocs/([\w/]+\.md)", r"[\1](../\1)", text)
