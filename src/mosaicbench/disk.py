"""How much disk a fit takes, from numbers of cells and features: latents, and imputed values or the model in their place.

Four bytes a number, of which compression leaves `PACKED`; what else a row of latents says takes `ROW` bytes. A model in the
place of imputed values takes two matrices of features x hidden units, or of features x components where there is no network.
"""

from __future__ import annotations

from dataclasses import dataclass

from mosaicbench import catalog

PACKED = 0.85  # of an array of floats, as measured of 13 methods (.80 to .88); their last bits are noise
ROW = 3  # bytes, the names of cells, sources and subsets among them
CELL = 8  # bytes of a train cell in a model: its name, type and batch
DRAWS = 1e6  # bytes of the draws of one direction
OF_CELLS = 0.55  # of means of measured cells, many of them 0
CONTROLS = 0.3  # of a control's values, which are measured ones, or a few profiles row after row
UNTIL_SCORED = "until_scored"  # a choice of the config's `keep_imputed`
SPREAD = (0.8, 1, 1.2)  # low, expected, high


@dataclass(frozen=True)
class Shape:
    """Numbers of train and query cells, of features over all modalities, and of modalities."""

    train: int
    query: int
    features: int
    modalities: int


def of_run(settings, run: str, scenario: str, shape: Shape) -> list[float]:
    """Return the megabytes of a fit of a config's run (``settings.Settings``), nothing of what was computed elsewhere."""
    method, given = settings.runs[run].method, settings.runs[run].hyperparameters
    paired = settings.scenarios[scenario]["kind"] != "unpaired"
    keeps = settings.config["keep_imputed"]
    return [] if method == catalog.ELSEWHERE else [of_fit(method, given, shape, paired=paired, keep_imputed=keeps)]


def may_keep_model(method: str) -> bool:
    """Return whether a small model may stand in the place of what a method of this project imputes."""
    card = catalog.card("methods", method)
    return not ("wraps" in card or "solution" in card["uses"] or _means_of_cells(method))


def _means_of_cells(method: str) -> bool:
    """Return whether a method holds the train cells whose mean it imputes."""
    return catalog.card("methods", method)["kind"] == "baseline" and "neighbors" in catalog.hyperparameters(method)


def of_fit(method: str, hyperparameters: dict, shape: Shape, *, paired: bool, keep_imputed: bool | str) -> float:
    """Return the megabytes of one fit.

    Parameters
    ----------
    hyperparameters
        Those that differ from the method's defaults.
    paired
        Whether cells show several modalities, and so have joint latents.
    keep_imputed
        As the config's key; what goes once it is scored is left out.
    """
    card = catalog.card("methods", method)
    chosen = {name: known.default for name, known in catalog.hyperparameters(method).items()} | hyperparameters
    sources = ("single" in card["gives"]) * shape.modalities + ("joint" in card["gives"] and paired)
    width = (chosen.get("latent") or 20) + (chosen.get("private") or 0)
    size = (shape.train + shape.query) * sources * (4 * PACKED * width + ROW)
    if "impute" in card["gives"]:
        values = 4 * PACKED * shape.query * (shape.modalities - 1) * shape.features
        values *= CONTROLS if card["kind"] == "control" else OF_CELLS / PACKED if _means_of_cells(method) else 1
        if keep_imputed is True or not may_keep_model(method):
            size += 0 if keep_imputed == UNTIL_SCORED else values
        else:
            size += min(values, _model(chosen, shape))
    if "draws" in card["gives"]:
        size += DRAWS * shape.modalities * (shape.modalities - 1)
    return size / 1e6


def _model(chosen: dict, shape: Shape) -> float:
    """Return the bytes of the model that may stand in the place of imputed values."""
    width = chosen.get("hidden") or chosen.get("components") or chosen.get("latent") or 1
    return 2 * 4 * width * shape.features + CELL * shape.train
