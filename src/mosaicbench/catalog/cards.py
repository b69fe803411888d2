"""The keys of each kind of card, the words of their values, and the check of a card.

Standard library only.
"""

from __future__ import annotations

from mosaicbench.catalog.card_defaults import NEEDED_BY, PARTS_OF
from mosaicbench.errors import UserError, nearest

# Words of a method's card, and their meanings.
KIND = {
    "model": "trains a neural network; models are compared with each other",
    "baseline": "an established or simple answer that models should beat",
    "control": "marks one end of a scale: uses no data, or the solution",
}
SCENARIOS = {
    "paired": "all modalities are measured in every train cell",
    "mosaic": "some train cells have all modalities, others some of them",
    "unpaired": "every train cell has one modality",
}
INPUTS = {
    "pairs": "which measurements are of the same train cell",
    "links": "which features of two modalities belong to the same gene: `Split.links`, `Cells.activity`",
    "counts": "raw counts of the cells to embed, too; train cells always have them",
    "labels": "cell types of train cells: `Cells.labels`",
    "solution": "everything that the scenario hides; for controls only",
    "embedding": "an embedding of RNA that another program made, from the file of the hyperparameter `embedding`: `receive`",
}
OUTPUTS = {
    "joint": "latents of cells with all modalities: `embed`",
    "single": "latents of cells with one modality, comparable across modalities: `embed`",
    "private": "latents that belong to one modality alone: `embed_private`",
    "impute": "values of a modality that was not measured: `impute`",
    "draws": "draws of possible values of a modality that was not measured: `draw`",
    "labels": "cell types of query cells: `predict`",
}
TESTED_FOR = {
    "aligns": "latents of a cell's modalities are near each other, in data with pairs or links",
    "imputes": "predicts a modality of new cells better than the mean of the train cells does",
    "reconstructs": "`impute` also reproduces the measured modality, better than the mean of the train cells does",
    "generates": "draws virtual cells: `generate`",
    "random": "draws random numbers, so that another seed gives another result",
}

# The card of a run that was computed outside of the benchmark, which has no method.
EXTERNAL = "external"
CARD_OF_EXTERNAL = {
    "label": "Computed elsewhere",
    "kind": "model",
    "scenarios": tuple(SCENARIOS),
    "external": True,
    "summary": "Latents or imputed values read from a file, checked and scored as those of a method. "
    "Which cells they were fitted on, perhaps the query cells too, and their time and memory are unknown.",
}

GROUPS = {
    "alignment": "whether the modalities of a cell find each other",
    "label_transfer": "whether cell types carry over between modalities",
    "label_prediction": "cell types that are predicted from few labels",
    "imputation": "how near imputed values are to measured ones",
    "calibration": "whether measured values are distributed as the draws of an imputation are",
    "preservation": "whether imputed values keep open peaks and markers of cell types",
    "biology": "whether cell types stay apart",
    "mixing": "whether modalities or batches mix",
    "realism": "whether imputed cells look like measured ones",
    "disentanglement": "whether shared and private latents hold what they should",
    "reference": "what the data allow any method to reach",
    "sanity": "signs of a failed training",
    "resources": "time and memory",
    "sampling": "how much scores of a sample differ from scores of all query cells, for very large data",
    "published_variants": "definitions that papers used, for comparison with their numbers",
}
# In these groups a larger or smaller value is no better result; published definitions may reward a collapse.
NO_QUALITY = ("resources", "reference", "sanity", "published_variants", "sampling")
BETTER = {
    "higher": "more is better",
    "lower": "less is better",
    "nearer": "a value nearer to `best` is better, above or below it, so runs are not ranked by it",
}
# The parameters that a metric's function may have. Rows of all arrays of cells are the same query
# cells; types are texts, "" where unknown.
NEEDS = {
    "latent": "(cells, dims) latents of one source: a modality, or joint",
    "latent_a": "(cells, dims) latents of the first of two modalities",
    "latent_b": "(cells, dims) latents of the second of two modalities",
    "private_latent": "(cells, dims) latents that belong to one modality alone",
    "all_blocks": "(cells, dims) shared and private latents side by side",
    "labels": "(cells,) cell types",
    "batches": "(cells,) batches, where there are several",
    "transferred": "(cells,) types of the 15 nearest train cells of the other modality, by vote",
    "transferred_k1": "the same of the nearest train cell",
    "transferred_k5": "the same of the 5 nearest",
    "transferred_k50": "the same of the 50 nearest",
    "transferred_cosine": "the same of the 15 nearest train cells by cosine distance",
    "transferred_without_partner": "the same of the 15 nearest query cells, without the cell itself",
    "predicted": "(cells,) types that the method predicts",
    "classified": "(cells,) types of the nearest labelled train cells",
    "values": "(cells, features) measured values of the source's modality",
    "cell_cycle": "(cells, 2) scores of the S and the G2M phase, from measured RNA, if enough of their genes are features",
    "truth": "(cells, features) measured values of the imputed modality",
    "noise": "(cells, features) estimated variance of each measured value by the sampling of molecules",
    "imputed": "(cells, features) imputed values, in the units of truth",
    "draws": "(cells, features, draws) of an imputation, in the units of truth, for a sample of query cells and features",
    "drawn_truth": "(cells, features) measured values of the same cells and features",
    "drawn_std": "(features,) standard deviation of the train cells, of the same features",
    "accessible": "(cells, peaks) whether a peak was open, sparse",
    "loadings": "(peaks, components) of LSI",
    "train_mean": "(features,) mean of the train cells",
    "train_std": "(features,) standard deviation of the train cells",
    "celltype_profiles": "(types, features) mean of the train cells of each type",
    "celltype_of": "(cells,) row of celltype_profiles",
    "shared_factors": "(cells, factors) true factors that all modalities share, of a simulation",
    "private_factors": "(cells, factors) true factors of the source's modality alone, of a simulation",
    "shared_driven": "(features,) whether shared factors move the feature, of a simulation",
    "history": "column -> (epochs,) values of a training with a term kl",
    "trained": "numbers of a training: epochs, kept_epoch, max_epochs, patience",
    "stopping": "the same, if the validation loss decides which weights are kept",
    "record": "the run's record, run.json",
    "device_record": "the same, if memory of a device was measured",
}
PROPERTIES = {
    "cell_order": "the order of the cells does not matter",
    "perfect_is_best": "a perfect answer has the best value, if the card states one",
    "best_is_a_bound": "the best value is one of the bounds, if the card states one",
    "shuffled_is_chance": "an answer for other cells has the value of chance, if the card states one",
    "train_mean_is_chance": "the train cells' mean as imputation has the value of chance, if the card states one",
    "noise_never_improves": "an answer with more noise is no better, if the card states a best value",
    "collapse_is_not_rewarded": "an answer that is the same for all cells is no better than chance",
}
PER = {
    "split": "one figure for each dataset and scenario",
    "all": "one figure of the whole benchmark",
}
# The values of keys that a card leaves out.
ABSENT = {"metrics": {"best": None, "chance": None, "doi": ""}}

WORDS, NUMBER = (list, tuple), (int, float, type(None))  # of values
EXPECTED = {
    str: "a text",
    WORDS: "a tuple of words",
    NUMBER: "a number or None",
    bool: "True",
    dict: "a dict",
}
# room -> key -> type of the value, and its words or meaning.
REQUIRED = {
    "methods": {
        "label": (str, "how tables and figures name the method"),
        "kind": (str, KIND),
        "scenarios": (WORDS, SCENARIOS),
        "inputs": (WORDS, INPUTS),
    },
    "metrics": {
        "label": (str, "how tables and figures name the metric"),
        "group": (str, GROUPS),
        "better": (str, BETTER),
        "bounds": (WORDS, "the lowest and the highest value, None without a bound: [0.0, None]"),
        "definition": (str, "what is computed, in one or two sentences"),
    },
    "datasets": {
        "label": (str, "how tables and figures name the dataset"),
        "summary": (str, "what was measured in which cells"),
        "labels": (str, "where the cell types come from"),
        "licence": (str, "of the data"),
        "citation": (str, "of the data"),
    },
    "figures": {
        "label": (str, "how the report names the figure"),
        "caption": (str, "what is drawn and how to read it"),
        "needs": (WORDS, "the tables that its function takes"),
        "per": (str, PER),
    },
}
OPTIONAL = {
    "methods": {
        "outputs": (WORDS, OUTPUTS),
        "tested_for": (WORDS, TESTED_FOR),
        "paper": (str, "authors and year"),
        "doi": (str, "of the paper"),
        "summary": (str, "how it works, in one or two sentences"),
        "deviates": (str, "what differs from the paper, and why"),
        "like": (str, "the card above with the values of the keys that this card leaves out"),
        "paths": (WORDS, "which latents are decoded to what, in words of docs/site/drawing.py"),
        "advice": (str, "when to take the method, and when not"),
        "in_house": (bool, "for a method of this project alone; tables and figures mark it"),
        "wraps": (dict, "package, module, version and licence of a wrapped package"),
        "environment": (str, "a file of envs/peers"),
        "space": (WORDS, "the hyperparameters to search, see search_spaces.py"),
    },
    "metrics": {
        "best": (NUMBER, "the value of a perfect answer"),
        "chance": (NUMBER, "the value of an answer that uses no data"),
        "doi": (str, "of the paper that defines it"),
        "exempt_from": (dict, PROPERTIES),
        "by_type": (str, "what its scores of one cell type are called in features.tsv"),
        "like": (str, "the card above with the values of the keys that this card leaves out"),
        "by_batch": (str, "what its scores of one batch are called in features.tsv"),
        "by_bin": (str, "what its counts by bin are called in features.tsv"),
        "without_partners": (bool, "for a metric of two modalities that may be of other cells"),
    },
    "datasets": {"simulated": (bool, "for simulated cells, which are reported apart")},
    "figures": {
        "only_with": (str, "a key of the config, or of its `report`, that the figure needs"),
        "only_with_group": (str, "a group of metrics that the figure needs"),
    },
}


def check(room: str, file: str, card: object) -> None:
    """Refuse a card with a missing or unknown key, a value of another type, or an unknown word.

    The error has the file, the key and the nearest valid word.
    """
    if card is None:
        raise UserError(f"{file}: no CARD and no CARDS; start the name of a helper file with '_'")
    keys = REQUIRED[room] | OPTIONAL[room]
    for key in REQUIRED[room]:
        if key not in card:
            raise UserError(f"{file}: CARD lacks the key {key!r}: {_expected(*keys[key])}")
    for key, value in card.items():
        if key not in keys:
            raise UserError(f"{file}: CARD has an unknown key {key!r}{nearest(key, keys)}")
        kind, words = keys[key]
        where = f"{file}: CARD, key {key!r}"
        if not isinstance(value, kind):
            comma = "; one word in brackets needs a comma: ('paired',)" if kind is WORDS else ""
            raise UserError(f"{where}: expected {_expected(kind, words)}, found {value!r}{comma}")
        if isinstance(words, dict):
            for word in [value] if kind is str else value:
                if word not in words:
                    raise UserError(f"{where}: there is no word {word!r}{nearest(word, words)}")


def _expected(kind: object, words: dict[str, str] | str) -> str:
    return f"{EXPECTED[kind]}: {words if isinstance(words, str) else ', '.join(words)}"


def check_method(file: str, card: dict, functions: set[str]) -> None:
    """Refuse a method's whole card whose keys contradict each other or the functions of its class."""
    for key in ("scenarios", "outputs"):
        if not card[key]:
            raise UserError(f"{file}: CARD, key {key!r}: the tuple is empty; name at least one")
    reveals = "solution" in card["inputs"]
    if reveals and card["kind"] != "control":
        raise UserError(
            f"{file}: CARD, key 'inputs': only a method of kind 'control' may see the solution"
        )
    for aim in card["tested_for"]:
        if aim in NEEDED_BY and NEEDED_BY[aim] not in card["outputs"]:
            raise UserError(
                f"{file}: CARD, key 'tested_for': {aim!r} needs {NEEDED_BY[aim]!r} in 'outputs'"
            )
    needed = {PARTS_OF[word]: f"output {word!r}" for word in card["outputs"]}
    needed |= {"fit": "every method"} | ({"reveal": "input 'solution'"} if reveals else {})
    needed |= {"receive": "input 'embedding'"} if "embedding" in card["inputs"] else {}
    if "generates" in card["tested_for"]:
        needed["generate"] = "'generates'"
    for part, what in needed.items():
        if part not in functions:
            raise UserError(f"{file}: the class lacks `{part}`: {what} needs it")
