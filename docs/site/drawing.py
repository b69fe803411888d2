"""Pictures of a model's paths, drawn from its card's key ``paths``: encoders, latents, decoders, and what aligns them.

All are drawn for two modalities; a third one is another row of each. Standard library only.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

# The words of `paths`, and what each says. The first ones are lines from latents to decoders; the others stand in boxes.
ROUTES = {
    "all -> each": "one latent of all observed modalities is decoded to each of them",
    "alone -> itself": "a modality's own latent is decoded to that modality",
    "alone -> others": "a modality's own latent is decoded to the other modalities",
    "subsets -> each": "the latent of every subset of the modalities is decoded to every modality",
    "private -> itself": "a modality is decoded from its private latent, and from its shared one without a gradient (dashed)",
}
AIDS = {
    "shared trunk": "experts of all modalities read and write one shared network",
    "discriminator of latents": "the model is trained so that discriminators cannot tell the modality from a latent",
    "discriminator of outputs": "the model is trained so that discriminators cannot tell what it decodes from what was measured",
    "discriminator of batches": "the model is trained so that a discriminator cannot tell the batch from a latent",
    "cycle": "a latent that is decoded to another modality, and encoded again, should come back",
    "anchors": "cells that are nearest neighbours in linked features are drawn together",
    "contrast": "a cell must be told from others by its other modality",
    "graph of links": "embeddings of linked features should be near each other; decoders are made of them",
    "types": "the cell type is decoded from the shared latent",
}
WORDS = ROUTES | AIDS
MODALITIES = (("RNA", "#0072B2"), ("ADT", "#D55E00"))
WIDTH, ROW, BOX, TOP = 660, 74, (104, 34), 46
COLUMNS = {"measured": 8, "encoder": 136, "latent": 290, "decoder": 444, "decoded": 572}
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.small{font-size:11px;fill:#555}.box{fill:#fff;stroke:#777}"
    ".line{fill:none;stroke-width:1.8}.aid{fill:#F4F4F6;stroke:#999;stroke-dasharray:4 3}"
)


def svg(label: str, paths: tuple[str, ...]) -> str:
    """Return the picture of a model.

    Parameters
    ----------
    label
        The model's name, for those who do not see the picture.
    paths
        Words of :data:`WORDS`.

    Raises
    ------
    ValueError
        When a word is none of them.
    """
    if unknown := [word for word in paths if word not in WORDS]:
        raise ValueError(
            f"{label}: 'paths' has {', '.join(unknown)}; the words are: {', '.join(WORDS)}"
        )
    latents = _latents(paths)
    rows = max(len(latents), len(MODALITIES))
    aids = [word for word in paths if word in AIDS]
    height = TOP + rows * ROW + 24 * len(aids) + 12
    middle = {
        name: TOP + ROW * (place + 0.5) * rows / len(latents) for place, name in enumerate(latents)
    }
    side = {
        name: TOP + ROW * (place + 0.5) * rows / len(MODALITIES)
        for place, (name, _) in enumerate(MODALITIES)
    }
    parts = [_text(COLUMNS[name], 22, name, small=True) for name in COLUMNS]
    for name, colour in MODALITIES:
        y = side[name]
        parts += [
            _text(COLUMNS["measured"], y + 5, name),
            _box("encoder", y, f"encoder {name}", colour),
        ]
        parts += [
            _box("decoder", y, f"decoder {name}", colour),
            _text(COLUMNS["decoded"], y + 5, name),
        ]
        parts.append(_line(COLUMNS["measured"] + 36, y, COLUMNS["encoder"], y, colour))
        parts.append(_line(COLUMNS["decoder"] + BOX[0], y, COLUMNS["decoded"] - 4, y, colour))
    for latent, (sources, targets) in latents.items():
        parts.append(_box("latent", middle[latent], latent, "#777"))
        colours = dict(MODALITIES)
        for source in sources:
            parts.append(
                _line(
                    COLUMNS["encoder"] + BOX[0],
                    side[source],
                    COLUMNS["latent"],
                    middle[latent],
                    colours[source],
                )
            )
        for target, dashed in targets.items():
            own = colours[sources[0]] if len(sources) == 1 else "#444"
            parts.append(
                _line(
                    COLUMNS["latent"] + BOX[0],
                    middle[latent],
                    COLUMNS["decoder"],
                    side[target],
                    own,
                    dashed=dashed,
                )
            )
    for place, word in enumerate(aids):
        y = TOP + rows * ROW + 24 * place + 6
        parts.append(
            f'<rect class="aid" x="{COLUMNS["encoder"]}" y="{y}" width="{COLUMNS["decoder"] - 32}" height="20" rx="3"/>'
        )
        parts.append(_text(COLUMNS["encoder"] + 8, y + 14, word, small=True))
    title = f"Paths of {label}: " + "; ".join(WORDS[word] for word in paths)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _latents(paths: tuple[str, ...]) -> dict[str, tuple[list[str], dict[str, bool]]]:
    """Return latent -> the modalities that it is of, and those that it is decoded to: whether without a gradient."""
    names = [name for name, _ in MODALITIES]
    found: dict[str, tuple[list[str], dict[str, bool]]] = {}
    if {"all -> each", "subsets -> each"} & set(paths):
        found["z of both"] = (names, dict.fromkeys(names, False))
    for name in names:
        others = [other for other in names if other != name]
        targets = dict.fromkeys(names, False) if "subsets -> each" in paths else {}
        targets |= (
            {name: False}
            if "alone -> itself" in paths
            else {name: True}
            if "private -> itself" in paths
            else {}
        )
        targets |= dict.fromkeys(others, False) if "alone -> others" in paths else {}
        if targets:
            found[f"z of {name}"] = ([name], targets)
        if "private -> itself" in paths:
            found[f"private {name}"] = ([name], {name: False})
    return found


def _box(column: str, y: float, text: str, colour: str) -> str:
    x, (width, height) = COLUMNS[column], BOX
    rounded = 17 if column == "latent" else 4
    shape = f'x="{x}" y="{y - height / 2:g}" width="{width}" height="{height}" rx="{rounded}" style="stroke:{colour}"'
    return (
        f'<rect class="box" {shape}/>'
        + f'<text x="{x + width / 2:g}" y="{y + 5:g}" text-anchor="middle">{escape(text)}</text>'
    )


def _line(
    x: float, y: float, to_x: float, to_y: float, colour: str, *, dashed: bool = False
) -> str:
    half = (x + to_x) / 2
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    head = f'<path d="M{to_x - 6:g} {to_y - 4:g}L{to_x:g} {to_y:g}L{to_x - 6:g} {to_y + 4:g}" class="line" stroke="{colour}"/>'
    curve = f"M{x:g} {y:g}C{half:g} {y:g} {half:g} {to_y:g} {to_x:g} {to_y:g}"
    return f'<path class="line" d="{curve}" stroke="{colour}"{dash}/>{head}'


def _text(x: float, y: float, text: str, *, small: bool = False) -> str:
    return f'<text x="{x:g}" y="{y:g}"{" class=" + chr(34) + "small" + chr(34) if small else ""}>{escape(text)}</text>'
