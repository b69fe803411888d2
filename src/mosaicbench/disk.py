"""How much disk views and fits take, from numbers of cells and features: latents, and imputed values or a model for them.

Four bytes a number, of which compression leaves `PACKED`; what else a row of latents says takes `ROW` bytes. A model in the
place of imputed values takes two matrices of features x hidden units, or of features x components where there is no network.
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
CELL = 8  # bytes of a train cell in a model: its name, type and batch
DRAWS = 1e6  # bytes of the draws of one direction
OF_CELLS = 0.55  # of means of measured cells, many of them 0
CONTROLS = 0.3  # of a control's values, which are measured ones, or a few profiles row after row
PER_CELL = {
    "rna": 0.25,
    "adt": 5.0,
    "atac": 84.0,
}  # bytes of a view's cell: of a gene, a protein, a component of 10,000 peaks
LOADINGS = 1.9e6  # bytes of these components in each file of a view
UNTIL_SCORED = "until_scored"  # a choice of the config's `keep_imputed`
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
    keeps = (
        UNTIL_SCORED if run in settings.until_scored else settings.config["keep_imputed"] is True
    )
    return [] if method == catalog.ELSEWHERE else [of_fit(method, given, shape, keep_imputed=keeps)]


def may_keep_model(method: str) -> bool:
    """Return whether a small model may stand in the place of what a method of this project imputes."""
    card = catalog.card("methods", method)
    return not ("wraps" in card or "solution" in card["uses"] or _means_of_cells(method))


def _means_of_cells(method: str) -> bool:
    """Return whether a method holds the train cells whose mean it imputes."""
    return catalog.card("methods", method)[
        "kind"
    ] == "baseline" and "neighbors" in catalog.hyperparameters(method)


def of_fit(method: str, hyperparameters: dict, shape: Shape, *, keep_imputed: bool | str) -> float:
    """Return the megabytes of one fit.

    Parameters
    ----------
    hyperparameters
        Those that differ from the method's defaults.
    shape
        Of its view.
    keep_imputed
        Whether it keeps imputed values; `UNTIL_SCORED` if not even that, or latents of train cells, which no model gives again.
    """
    card = catalog.card("methods", method)
    chosen = {
        name: known.default for name, known in catalog.hyperparameters(method).items()
    } | hyperparameters
    single, joint = "single" in card["gives"], "joint" in card["gives"]
    rows = shape.query * (single * shape.modalities + joint * shape.joint)
    if keep_imputed != UNTIL_SCORED:
        rows += shape.train * (single * shape.shown + joint * shape.joint * shape.complete)
    width = (chosen.get("latent") or 20) + (chosen.get("private") or 0)
    size = rows * (4 * width * (OF_CONTROLS if card["kind"] == "control" else OF_LATENTS) + ROW)
    if "impute" in card["gives"] and keep_imputed != UNTIL_SCORED:
        values = 4 * PACKED * shape.query * (shape.modalities - 1) * shape.features
        values *= (
            CONTROLS
            if card["kind"] == "control"
            else OF_CELLS / PACKED
            if _means_of_cells(method)
            else 1
        )
        size += (
            values
            if keep_imputed or not may_keep_model(method)
            else min(values, _model(chosen, shape))
        )
        size += DRAWS * shape.modalities * (shape.modalities - 1) * ("draws" in card["gives"])
    return size / 1e6


def _model(chosen: dict, shape: Shape) -> float:
    """Return the bytes of the model that may stand in the place of imputed values."""
    width = chosen.get("hidden") or chosen.get("components") or chosen.get("latent") or 1
    return 2 * 4 * width * shape.features + CELL * shape.train
