"""Pictures of a model's paths, from its card's key ``paths``: encoders, latents, decoders, and terms that align them.

Two modalities are drawn; a third would be another row. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

# The words of `paths` and their meanings: lines from latents to decoders, then terms in boxes.
ROUTES = {
    "all -> each": "one latent of all observed modalities is decoded to each of them",
    "alone -> itself": "a modality's own latent is decoded to that modality",
    "alone -> others": "a modality's own latent is decoded to the other modalities",
    "subsets -> each": "the latent of every subset of the modalities is decoded to every modality",
    "private -> itself": "a modality is decoded from its private latent, and from its shared one without a gradient (dashed)",
}
AIDS = {
    "shared trunk": "experts of all modalities read and write one shared network",
    "discriminator of latents": "the model is trained so that discriminators cannot predict the modality from a latent",
    "discriminator of outputs": "the model is trained so that discriminators cannot distinguish decoded from measured values",
    "discriminator of batches": "the model is trained so that a discriminator cannot predict the batch from a latent",
    "cycle": "a latent that is decoded to another modality and encoded again should be the same",
    "anchors": "cells that are nearest neighbours in linked features are drawn together",
    "contrast": "a cell must be distinguished from others by its other modality",
    "graph of links": "embeddings of linked features should be near each other; decoders consist of them",
    "types": "the cell type is decoded from the shared latent",
}
WORDS = ROUTES | AIDS
MODALITIES = {"RNA": "#0072B2", "ADT": "#D55E00"}
WIDTH, ROW, BOX, TOP = 660, 74, (104, 34), 46
COLUMNS = {"measured": 8, "encoder": 136, "latent": 290, "decoder": 444, "decoded": 572}
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.small{font-size:11px;fill:#555}.box{fill:#fff;stroke:#777}"
    ".line{fill:none;stroke-width:1.8}.aid{fill:#F4F4F6;stroke:#999;stroke-dasharray:4 3}"
)


def svg(label: str, paths: tuple[str, ...]) -> str:
    """Return the picture of a model with a name, from words of :data:`WORDS`."""
    latents = _latents(paths)
    rows = max(len(latents), len(MODALITIES))
    bottom = TOP + rows * ROW
    parts = [_text(x, 22, name, small=True) for name, x in COLUMNS.items()]
    side, middle = _heights(MODALITIES, rows), _heights(latents, rows)
    for name, colour in MODALITIES.items():
        y = side[name]
        parts += [_text(COLUMNS[column], y + 5, name) for column in ("measured", "decoded")]
        parts += [_box(part, y, f"{part} {name}", colour) for part in ("encoder", "decoder")]
        parts.append(_line(COLUMNS["measured"] + 36, y, COLUMNS["encoder"], y, colour))
        parts.append(_line(COLUMNS["decoder"] + BOX[0], y, COLUMNS["decoded"] - 4, y, colour))
    for latent, (sources, targets) in latents.items():
        y = middle[latent]
        parts.append(_box("latent", y, latent, "#777"))
        start, stop = COLUMNS["encoder"] + BOX[0], COLUMNS["latent"]
        for source in sources:
            parts.append(_line(start, side[source], stop, y, MODALITIES[source]))
        colour = MODALITIES[sources[0]] if len(sources) == 1 else "#444"
        start, stop = COLUMNS["latent"] + BOX[0], COLUMNS["decoder"]
        for target, dashed in targets.items():
            parts.append(_line(start, y, stop, side[target], colour, dashed=dashed))
    aids = [word for word in paths if word in AIDS]
    x, width = COLUMNS["encoder"], COLUMNS["decoder"] - 32
    for place, word in enumerate(aids):
        y = bottom + 24 * place + 6
        parts.append(f'<rect class="aid" x="{x}" y="{y}" width="{width}" height="20" rx="3"/>')
        parts.append(_text(x + 8, y + 14, word, small=True))
    title = escape(f"Paths of {label}: " + "; ".join(WORDS[word] for word in paths))
    height = bottom + 24 * len(aids) + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
        f"<title>{title}</title><style>{STYLE}</style>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _heights(names: Iterable[str], rows: int) -> dict[str, float]:
    names = list(names)
    step = ROW * rows / len(names)
    return {name: TOP + step * (place + 0.5) for place, name in enumerate(names)}


def _latents(paths: tuple[str, ...]) -> dict[str, tuple[list[str], dict[str, bool]]]:
    """Return latent -> its modalities, and the modalities that it is decoded to: whether without a gradient."""
    names = list(MODALITIES)
    found: dict[str, tuple[list[str], dict[str, bool]]] = {}
    if {"all -> each", "subsets -> each"} & set(paths):
        found["z of both"] = (names, dict.fromkeys(names, False))
    for name in names:
        targets = {}
        if {"subsets -> each", "alone -> itself", "private -> itself"} & set(paths):
            targets[name] = "private -> itself" in paths and "alone -> itself" not in paths
        if {"subsets -> each", "alone -> others"} & set(paths):
            targets |= {other: False for other in names if other != name}
        if targets:
            found[f"z of {name}"] = ([name], targets)
        if "private -> itself" in paths:
            found[f"private {name}"] = ([name], {name: False})
    return found


def _box(column: str, y: float, text: str, colour: str) -> str:
    x, (width, height) = COLUMNS[column], BOX
    rounded = 17 if column == "latent" else 4
    shape = f'x="{x}" y="{y - height / 2:g}" width="{width}" height="{height}" rx="{rounded}"'
    label = f'x="{x + width / 2:g}" y="{y + 5:g}" text-anchor="middle"'
    box = f'<rect class="box" {shape} style="stroke:{colour}"/>'
    return f"{box}<text {label}>{escape(text)}</text>"


def _line(
    x: float, y: float, to_x: float, to_y: float, colour: str, *, dashed: bool = False
) -> str:
    half = (x + to_x) / 2
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    curve = f"M{x:g} {y:g}C{half:g} {y:g} {half:g} {to_y:g} {to_x:g} {to_y:g}"
    head = f"M{to_x - 6:g} {to_y - 4:g}L{to_x:g} {to_y:g}L{to_x - 6:g} {to_y + 4:g}"
    line = f'<path class="line" d="{curve}" stroke="{colour}"{dash}/>'
    return f'{line}<path d="{head}" class="line" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, *, small: bool = False) -> str:
    kind = ' class="small"' if small else ""
    return f'<text x="{x:g}" y="{y:g}"{kind}>{escape(text)}</text>'
