"""How much disk views and fits take, from numbers of cells and features: latents and imputed values.

Four bytes a number, of which compression leaves `PACKED`; what else a row of latents says takes `ROW` bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaicbench import catalog

PACKED = (
    0.85  # of imputed values, as measured of 13 methods (.80 to .88); their last bits are noise
)
OF_LATENTS = 0.87  # of latents, as measured of 11 methods (.86 to .88)
OF_CONTROLS = 0.4  # of a control's latents: .00 of constant, .06 and .44 of those that know the solution, .87 of random ones
ROW = 3  # bytes, the names of cells, sources and subsets among them
DRAWS = 1e6  # bytes of the draws of one direction
OF_CELLS = 0.55  # of means of measured cells, many of them 0
CONTROLS = 0.3  # of a control's values, which are measured ones, or a few profiles row after row
PER_CELL = {
    "rna": 0.25,
    "adt": 5.0,
    "atac": 84.0,
}  # bytes of a view's cell: of a gene, a protein, a component of 10,000 peaks
LOADINGS = 1.9e6  # bytes of these components in each file of a view
SPREAD = (0.8, 1, 1.2)  # low, expected, high


@dataclass(frozen=True)
class Shape:
    """Numbers of a view.

    Attributes
    ----------
    train, query
        Cells.
    features
        Of all modalities together.
    modalities
        How many there are.
    shown
        How many modalities a train cell shows, in the mean.
    complete
        The share of the train cells that show all.
    joint
        Whether query cells show all modalities, and so have joint latents.
    """

    train: int
    query: int
    features: int
    modalities: int
    shown: float
    complete: float
    joint: bool

    @classmethod
    def of(cls, stanza: dict, train: int, query: int, features: int, modalities: int) -> Shape:
        """Return the numbers of a scenario's view; of a natural one all cells are taken to show everything."""
        kind, fraction = stanza["kind"], stanza.get("paired_fraction", 0)
        sizes = [modalities if kind in ("paired", "natural") else 1]
        shares = [1.0]
        if "blocks" in stanza:
            sizes, shares = (
                [len(block) for block in stanza["blocks"]],
                stanza.get("shares") or [1.0] * len(stanza["blocks"]),
            )
        elif kind == "mosaic":
            sizes, shares = [modalities, 1], [fraction, 1 - fraction]
        whole = sum(shares)
        shown = sum(size * share for size, share in zip(sizes, shares, strict=True)) / whole
        complete = (
            sum(share for size, share in zip(sizes, shares, strict=True) if size == modalities)
            / whole
        )
        return cls(train, query, features, modalities, shown, complete, joint=kind != "unpaired")


def of_view(features: dict[str, int], shape: Shape) -> list[float]:
    """Return the megabytes of a view of modality -> features, nothing where a modality's kind is not known.

    A view has its query cells twice, for methods and in the solution.
    """
    if not features.keys() <= PER_CELL.keys():
        return []
    cells = shape.train * shape.shown / shape.modalities + 2 * shape.query
    size = cells * sum(PER_CELL[modality] * number for modality, number in features.items())
    return [(size + ("atac" in features) * 3 * LOADINGS) / 1e6]


def of_run(settings, run: str, shape: Shape) -> list[float]:
    """Return the megabytes of a fit of a config's run (``settings.Settings``), nothing of what was computed elsewhere."""
    method, given = settings.runs[run].method, settings.runs[run].hyperparameters
    keeps = settings.config["keep_imputed"]
    return [] if method == catalog.ELSEWHERE else [of_fit(method, given, shape, keep_imputed=keeps)]


def _means_of_cells(method: str) -> bool:
    """Return whether a method holds the train cells whose mean it imputes."""
    return catalog.card("methods", method)[
        "kind"
    ] == "baseline" and "neighbors" in catalog.hyperparameters(method)


def of_fit(method: str, hyperparameters: dict, shape: Shape, *, keep_imputed: bool) -> float:
    """Return the megabytes of one fit on a view of this shape; of `hyperparameters` those that differ from the defaults."""
    card = catalog.card("methods", method)
    chosen = {
        name: known.default for name, known in catalog.hyperparameters(method).items()
    } | hyperparameters
    single, joint = "single" in card["gives"], "joint" in card["gives"]
    rows = shape.query * (single * shape.modalities + joint * shape.joint)
    rows += shape.train * (single * shape.shown + joint * shape.joint * shape.complete)
    width = (chosen.get("latent") or 20) + (chosen.get("private") or 0)
    size = rows * (4 * width * (OF_CONTROLS if card["kind"] == "control" else OF_LATENTS) + ROW)
    if "impute" in card["gives"] and keep_imputed:
        values = 4 * shape.query * (shape.modalities - 1) * shape.features
        if card["kind"] == "control":
            values *= PACKED * CONTROLS
        else:
            values *= OF_CELLS if _means_of_cells(method) else PACKED
        size += values
        size += DRAWS * shape.modalities * (shape.modalities - 1) * ("draws" in card["gives"])
    return size / 1e6
