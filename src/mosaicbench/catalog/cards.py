"""What a CARD may say: the keys of each kind of card and their words, here and nowhere else.

A card is a literal dict at the top of a file, which the workflow reads without importing it. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mosaicbench.catalog.card_defaults import NEEDED_BY
from mosaicbench.errors import UserError, nearest

# Words of a method's card, and what each of them says.
KIND = {
    "model": "trains a neural network; models are compared with each other",
    "baseline": "an established or simple answer that models should beat",
    "control": "pins one end of a scale: knows nothing, or knows the solution",
}
SCENARIOS = {
    "paired": "all modalities are measured in every train cell",
    "mosaic": "some train cells have all modalities, others some of them",
    "unpaired": "every train cell has one modality",
}
INPUTS = {
    "pairs": "which measurements are of the same train cell",
    "links": "which features of two modalities speak of the same gene: `Split.links`, `Cells.activity`",
    "counts": "raw counts of the cells to embed, too; train cells always have them",
    "labels": "cell types of train cells: `Cells.labels`",
    "solution": "everything that is hidden; for controls only",
}
OUTPUTS = {
    "joint": "latents of cells with all modalities: `embed`",
    "single": "latents of cells with one modality, in one space for all of them: `embed`",
    "private": "latents that belong to one modality alone: `embed_private`",
    "impute": "values of a modality that was not measured: `impute`",
    "draws": "draws of what a modality that was not measured may be: `draw`",
    "labels": "cell types of query cells: `predict`",
}
TESTED_FOR = {
    "aligns": "latents of a cell's modalities lie near each other, in data where pairs or links tell which belong together",
    "imputes": "predicts a modality of new cells better than the mean of the train cells does",
    "reconstructs": "`impute` also reproduces the modality that the cells show, better than the mean of the train cells does",
    "generates": "draws virtual cells: `generate`",
    "random": "draws random numbers, so that another seed gives another result",
}

# What stands in the place of a method's card for a result that was computed outside of the benchmark.
EXTERNAL = "external"
CARD_OF_EXTERNAL = {
    "label": "Computed elsewhere",
    "kind": "model",
    "scenarios": tuple(SCENARIOS),
    "external": True,
    "summary": "Latents or imputed values read from a file, held to the same contracts and scored in the same way. What they "
    "were fitted on, whether that includes the query cells, and what they took cannot be known.",
}

GROUPS = {
    "alignment": "whether the modalities of a cell find each other",
    "label_transfer": "whether cell types carry over between modalities",
    "label_prediction": "cell types that are predicted from few labels",
    "imputation": "how near imputed values are to measured ones",
    "calibration": "whether measured values fall among the draws of an imputation as one of them would",
    "preservation": "what else imputed values keep of measured ones: open peaks, markers of cell types",
    "biology": "whether cell types stay apart",
    "mixing": "whether modalities or batches mix",
    "realism": "whether imputed cells look like measured ones",
    "disentanglement": "whether shared and private latents hold what they should",
    "reference": "what the data allow, whatever the method",
    "sanity": "whether a run has the marks of a failed training",
    "resources": "time and memory",
    "sampling": "what scores of a sample of the query cells are worth, where there are very many",
    "published_variants": "definitions that papers used, for comparison with their numbers",
}
# Groups of metrics in which a larger or smaller value is no better result; other people's definitions may reward a collapse.
NO_QUALITY = ("resources", "reference", "sanity", "published_variants", "sampling")
BETTER = {"higher": "more is better", "lower": "less is better"}
BETTER |= {
    "nearer": "the nearer to `best` the better: neither more nor less is, so runs are not ranked by it"
}
# What a metric's function may take; the names of its parameters are its needs. Rows of all arrays of cells are the same query
# cells, types are texts, "" where unknown.
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
    "cell_cycle": "(cells, 2) scores of the S and the G2M phase, from measured RNA, where enough of their genes are features",
    "truth": "(cells, features) measured values of the imputed modality",
    "imputed": "(cells, features) imputed values, in the units of truth",
    "draws": "(cells, features, draws) of an imputation, in the units of truth, of a sample of query cells and features",
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
    "history": "column -> (epochs,) values of the training, where it has a term kl",
    "trained": "numbers of a training: epochs, kept_epoch, max_epochs, patience",
    "stopping": "the same, where the validation cost decides which weights are kept",
    "record": "the run's record, run.json",
    "device_record": "the same, where memory of a device was measured",
}
PROPERTIES = {
    "cell_order": "the order of the cells does not matter",
    "perfect_is_best": "a perfect answer has the best value, where the card states one",
    "best_is_a_bound": "the best value is the lowest or the highest of its bounds, where the card states one",
    "shuffled_is_chance": "an answer for other cells has the value of chance, where the card states one",
    "train_mean_is_chance": "imputing the train cells' mean has the value of chance, where the card states one",
    "noise_never_improves": "an answer with more noise is no better, where the card states a best value",
    "collapse_is_not_rewarded": "an answer that is the same for all cells is no better than chance",
}
PER = {
    "split": "one figure for each dataset and scenario",
    "all": "one figure of the whole benchmark",
}
# What a card says that leaves out one of these keys.
ABSENT = {"metrics": {"best": None, "chance": None, "doi": ""}}


@dataclass(frozen=True)
class Key:
    """One key of a card.

    Attributes
    ----------
    expects
        What its value is, for messages.
    accepts
        Whether a value is of that kind.
    words
        The words that a value may be made of; empty where any text will do.
    optional
        Whether a card may leave it out.
    """

    expects: str
    accepts: Callable[[object], bool]
    words: dict[str, str]
    optional: bool = False


def check(room: str, file: str, card: object) -> None:
    """Refuse a card that lacks a key, has one too many, or says a word that there is not.

    Parameters
    ----------
    room
        "methods", "metrics", "datasets" or "figures".
    file
        Its file, for the message.
    card
        The value of CARD.

    Raises
    ------
    UserError
        At the first mistake: says file, key, and the nearest valid word.
    """
    if not isinstance(card, dict):
        raise UserError(f"{file}: CARD has to be a dict, found {card!r}")
    keys = KEYS[room]
    for key in card:
        if key not in keys:
            raise UserError(f"{file}: CARD has an unknown key {key!r}{nearest(key, keys)}")
    for key, rule in keys.items():
        if key not in card and not rule.optional:
            raise UserError(f"{file}: CARD lacks the key {key!r}: {rule.expects}")
        if key in card:
            _check_value(f"{file}: CARD, key {key!r}", card[key], rule)


def variants(file: str, card: dict, defaults: dict[str, object]) -> dict[str, tuple[dict, dict]]:
    """Return the forms of a figure: id -> its card, and the keywords of its function.

    A card with ``variants`` stands for these ids, and not for the file's own unless it is among them::

        CARD = {"needs": ["projection"],
                "variants": {"umap": {"label": "..."}, "umap_joint": {"label": "...", "keywords": {"joint": True}}}}

    The card of a variant is the common card with what the variant says instead; ``keywords`` are passed to the function.

    Parameters
    ----------
    file
        Its file, for the message.
    card
        The value of CARD.
    defaults
        The function's keywords that a variant may leave out.

    Raises
    ------
    UserError
        When a variant is not a dict.
    """
    found = {}
    for name, differs in card["variants"].items():
        if not isinstance(differs, dict):
            raise UserError(
                f"{file}: CARD, key 'variants': expected a dict id -> dict, found {differs!r} of {name}"
            )
        own = card | differs
        keywords = defaults | own.pop("keywords", {})
        del own["variants"]
        found[name] = (own, keywords)
    return found


def _check_value(where: str, value: object, rule: Key) -> None:
    if not rule.accepts(value):
        comma = (
            "; one word in brackets needs a comma: ('paired',)"
            if rule.words and isinstance(value, str)
            else ""
        )
        raise UserError(f"{where}: expected {rule.expects}, found {value!r}{comma}")
    for word in [value] if isinstance(value, str) else value if rule.words else []:
        if rule.words and word not in rule.words:
            raise UserError(f"{where}: there is no word {word!r}{nearest(word, rule.words)}")


def check_method(file: str, card: dict) -> None:
    """Refuse a method's whole card, as ``card_defaults.whole`` returns it, where two keys contradict each other.

    Raises
    ------
    UserError
    """
    if not card["scenarios"] or not card["outputs"]:
        empty = "outputs" if card["scenarios"] else "scenarios"
        raise UserError(
            f"{file}: CARD, key {empty!r}: at least one of {', '.join(KEYS['methods'][empty].words)}"
        )
    if "solution" in card["inputs"] and card["kind"] != "control":
        raise UserError(
            f"{file}: CARD, key 'inputs': only a method of kind 'control' may see the solution"
        )
    if "draws" in card["outputs"] and "impute" not in card["outputs"]:
        raise UserError(
            f"{file}: CARD, key 'outputs': 'draws' needs 'impute', for draws are of what is imputed"
        )
    for claim in card["tested_for"]:
        if claim in NEEDED_BY and NEEDED_BY[claim] not in card["outputs"]:
            raise UserError(
                f"{file}: CARD, key 'tested_for': {claim!r} needs {NEEDED_BY[claim]!r} in 'outputs'"
            )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_true(value: object) -> bool:
    return value is True


def _is_words(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_bounds(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))


def _is_reasons(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(why, str) and why for why in value.values())


def _is_package(value: object) -> bool:
    keys = {"package", "module", "version", "licence"}
    return isinstance(value, dict) and set(value) == keys and all(map(_is_text, value.values()))


def _text(expects: str, *, optional: bool = False) -> Key:
    return Key(f"a text, {expects}", _is_text, {}, optional)


def _word(words: dict[str, str], *, optional: bool = False) -> Key:
    return Key(f"one of {', '.join(words)}", _is_text, words, optional)


def _words(words: dict[str, str], *, optional: bool = False) -> Key:
    return Key(f"a tuple of words, out of {', '.join(words)}", _is_words, words, optional)


def _number(expects: str, *, optional: bool = False) -> Key:
    return Key(f"a number or None, {expects}", _is_number, {}, optional)


KEYS = {
    "methods": {
        "label": _text("how tables and figures name the method"),
        "kind": _word(KIND),
        "scenarios": _words(SCENARIOS),
        "inputs": _words(INPUTS),
        "outputs": _words(OUTPUTS, optional=True),
        "tested_for": _words(TESTED_FOR, optional=True),
        "paper": _text("authors and year", optional=True),
        "doi": _text("of the paper", optional=True),
        "summary": _text("one or two sentences about how it works", optional=True),
        "deviates": _text("what differs from the paper, and why", optional=True),
        "like": _text("the card above from which it takes what it does not say", optional=True),
        "paths": Key(
            "a tuple of words, those of docs/site/drawing.py", _is_words, {}, optional=True
        ),
        "advice": _text("when to take the method, and when not", optional=True),
        "in_house": Key(
            "True, of a method that this project made up: every table and figure marks it",
            _is_true,
            {},
            optional=True,
        ),
        "wraps": Key(
            "a dict of the texts package, module, version and licence",
            _is_package,
            {},
            optional=True,
        ),
        "environment": _text("the name of a file of envs/peers", optional=True),
        "space": Key(
            "a dict of hyperparameters to search, see spaces.py",
            lambda x: isinstance(x, dict),
            {},
            optional=True,
        ),
    },
    "metrics": {
        "label": _text("how tables and figures name the metric"),
        "group": _word(GROUPS),
        "best": _number("the value of a perfect answer", optional=True),
        "better": _word(BETTER),
        "chance": _number("the value of an answer that knows nothing", optional=True),
        "bounds": Key(
            "the lowest and the highest value, None where there is none: [0.0, None]",
            _is_bounds,
            {},
        ),
        "definition": _text("what is computed, in one or two sentences"),
        "doi": _text("of the paper that defines it", optional=True),
        "exempt_from": Key(
            f"a dict of properties that it lacks: why, out of {', '.join(PROPERTIES)}",
            _is_reasons,
            PROPERTIES,
            True,
        ),
        "like": _text("the card above from which it takes what it does not say", optional=True),
        "by_type": _text(
            "what its scores of the cells of one type are called in features.tsv", optional=True
        ),
        "by_batch": _text(
            "what its scores of the cells of one batch are called in features.tsv", optional=True
        ),
        "by_bin": _text("what its counts by bin are called in features.tsv", optional=True),
        "without_partners": Key(
            "True, of a metric of two modalities whose rows need not be the same cells",
            _is_true,
            {},
            optional=True,
        ),
    },
    "datasets": {
        "label": _text("how tables and figures name the dataset"),
        "summary": _text("what was measured in which cells"),
        "labels": _text("where the cell types come from"),
        "licence": _text("of the data"),
        "citation": _text("of the data"),
        "simulated": Key(
            "True, of simulated cells, which are apart from real datasets",
            _is_true,
            {},
            optional=True,
        ),
    },
    "figures": {
        "label": _text("how the report names the figure"),
        "caption": _text("what is drawn and how to read it"),
        "needs": Key("a list of the tables that its function takes", _is_words, {}),
        "per": _word(PER),
        "only_with": _text(
            "the key of the config, or of its `report`, without which it is not drawn",
            optional=True,
        ),
        "only_with_group": _text(
            "the group of metrics without which it is not drawn", optional=True
        ),
    },
}
