"""Malformed configs: each ends in one message that names what to mend, or is valid and is taken as it stands.

The grammar of configs, ``CONFIG``, says for each key what it accepts. It is written down a second time on purpose, independent
of the schema and of the methods' fields: a try takes a valid config, puts an odd value, name or key somewhere, and asks the
grammar whether that is still a config.
"""

from __future__ import annotations

import copy
import datetime
import json
import random
import traceback
from collections.abc import Callable
from pathlib import Path

from chaos.outcomes import Outcome
from mosaicbench import settings
from mosaicbench.errors import UserError

INF, NAN = float("inf"), float("nan")
LARGEST = 2**32 - 1
ODD = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**64,
    -(2**64),
    0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    INF,
    -INF,
    NAN,
    1e300,
    1e-300,
]
ODD += [
    "",
    " ",
    "yes",
    "null",
    "1",
    "nan",
    "ü",
    "a b",
    "a'b",
    "$(touch x)",
    "../x",
    "/",
    "x\n",
    "\x00",
    "$\\frac{1}{$",
    "x" * 5000,
]
ODD += [
    [],
    [None],
    [[]],
    ["a", "a"],
    [1],
    [NAN],
    {},
    {"a": None},
    {"": ""},
    {1: 2},
    {None: {}},
    {"a": {"b": {"c": []}}},
]
ODD += [datetime.date(2020, 1, 1), b"\x00\xff", {"set", "of"}]
NAMES = [
    1,
    1.5,
    True,
    None,
    datetime.date(2020, 1, 1),
    "",
    " ",
    "a/b",
    "..",
    ".",
    "-x",
    "a b",
    "ü",
    "x\n",
    "a'b",
    "$x",
    NAN,
    (1, 2),
]


def is_text(x: object) -> bool:
    return isinstance(x, str) and x.isprintable() and len(x) <= 1000


def is_word(x: object) -> bool:
    """A text that a file name, a column or a name of a cell type may be."""
    return is_text(x) and x != ""


def is_flag(x: object) -> bool:
    return isinstance(x, bool)


def is_whole(low: int, high: int = LARGEST) -> Callable:
    return lambda x: type(x) is int and low <= x <= high


def is_number(
    low: float = -INF, high: float = INF, *, open_low: bool = False, open_high: bool = False
) -> Callable:
    def accepts(x: object) -> bool:
        if (
            type(x) not in (int, float)
            or x != x
            or x in (INF, -INF)
            or (type(x) is int and abs(x) > LARGEST)
        ):
            return False
        return (x > low if open_low else x >= low) and (x < high if open_high else x <= high)

    return accepts


def is_word_or_whole(x: object) -> bool:
    return is_word(x) or is_whole(-LARGEST)(x)


def is_list(accepts: Callable, *, least: int = 0, distinct: bool = False) -> Callable:
    def accepts_list(x: object) -> bool:
        whole = isinstance(x, list) and len(x) >= least and all(map(accepts, x))
        return whole and (not distinct or len({json.dumps(one) for one in x}) == len(x))

    return accepts_list


def is_map(accepts: Callable, *, least: int = 0) -> Callable:
    return lambda x: (
        isinstance(x, dict)
        and len(x) >= least
        and all(is_word(k) and accepts(v) for k, v in x.items())
    )


def is_one_of(*values: object) -> Callable:
    return lambda x: any(type(x) is type(value) and x == value for value in values)


def may_be_null(accepts: Callable) -> Callable:
    return lambda x: x is None or accepts(x)


def never(_: object) -> bool:
    """Of a key whose right values depend on others: no odd value is one of them."""
    return False


SHARE = is_number(0, 1)
WHOLE_FROM_1, WHOLE_FROM_0 = is_whole(1), is_whole(0)
THRESHOLD = is_number(0)
CONFIG = {  # key -> whether a value is one of its own
    ("seeds",): is_list(WHOLE_FROM_0, least=1, distinct=True),
    ("seeds", 0): WHOLE_FROM_0,
    ("training", "max_epochs"): WHOLE_FROM_1,
    ("training", "patience"): WHOLE_FROM_1,
    ("training", "batch_size"): WHOLE_FROM_1,
    ("training", "seeds_at_once"): is_one_of("auto", True, False),
    ("few_jobs",): is_flag,
    ("limits", "minutes"): is_number(0, 525_600, open_low=True),
    ("limits", "memory_mb"): is_number(0, 1e9, open_low=True),
    ("preprocess", "rna", "features"): is_whole(2),
    ("preprocess", "atac", "components"): WHOLE_FROM_1,
    ("metrics", "groups"): never,
    ("metrics", "groups", 0): never,
    ("keep",): is_list(never),
    ("registry",): is_one_of(None),
    ("pathvars", "results"): is_one_of("1", "yes", "null", "nan", "ü", "../x", "/"),
    ("pathvars", "logs"): is_one_of("1", "yes", "null", "nan", "ü", "../x", "/"),
    ("report", "projected_runs"): is_list(never),
    ("report", "reference_run"): is_one_of(None),
    ("report", "sweep"): is_one_of(None),
    ("report", "sweep", "label"): is_text,
    ("report", "sweep", "log"): is_flag,
    ("report", "sweep", "metrics", "foscttm"): may_be_null(
        is_list(is_text, least=1, distinct=True)
    ),
    ("report", "sweep", "series", "runs", "mvae"): is_number(0, open_low=True),
    ("scenarios",): never,
    ("scenarios", "paired"): never,
    ("scenarios", "paired", "kind"): never,
    ("scenarios", "paired", "query_fraction"): is_number(0, 1, open_low=True, open_high=True),
    ("scenarios", "paired", "split"): never,
    ("scenarios", "paired", "split", "by"): is_word,
    ("scenarios", "paired", "split", "held_out"): is_list(
        lambda x: is_word(x) or is_whole(-LARGEST)(x), least=1, distinct=True
    ),
    ("scenarios", "paired", "labelled", "share"): SHARE,
    ("scenarios", "paired", "labelled", "least"): WHOLE_FROM_0,
    ("scenarios", "paired", "datasets"): never,
    ("scenarios", "mosaic", "paired_fraction"): SHARE,
    ("scenarios", "mosaic", "balanced"): is_flag,
    ("scenarios", "mosaic", "imbalance"): is_map(is_list(is_word, least=1, distinct=True), least=1),
    ("scenarios", "mosaic", "corrupted_links"): SHARE,
    ("scenarios", "blocks", "blocks"): never,
    ("scenarios", "blocks", "blocks", 0): is_list(is_word, least=1, distinct=True),
    ("scenarios", "blocks", "shares"): never,
    ("scenarios", "blocks", "shares", 0): is_number(0, open_low=True),
    ("runs",): never,
    ("runs", "mvae"): is_one_of(None, {}),
    ("runs", "mvae", "beta"): is_number(0),
    ("runs", "mvae", "latent"): WHOLE_FROM_1,
    ("runs", "mvae", "hidden"): WHOLE_FROM_1,
    ("runs", "mvae", "learning_rate"): is_number(0, open_low=True),
    ("runs", "mvae", "gradient_clip"): is_number(0, open_low=True),
    ("runs", "mvae", "validation"): is_number(0, 1, open_high=True),
    ("runs", "mvae", "warmup"): SHARE,
    ("runs", "mvae", "likelihood"): never,
    ("runs", "mvae", "likelihood_rescaling"): is_flag,
    ("runs", "mvae", "max_epochs"): WHOLE_FROM_1,
    ("runs", "poe", "method"): never,
    ("runs", "poe", "modality_dropout"): is_number(0, 1, open_high=True),
    ("runs", "scmodal", "critic_betas"): never,
    ("runs", "scmodal", "order"): may_be_null(is_list(is_word)),
    ("runs", "scmodal", "critic_weight"): is_number(0),
    ("runs", "scmodal", "near"): SHARE,
    ("runs", "cca", "components"): WHOLE_FROM_1,
    ("runs", "ridge", "components"): WHOLE_FROM_1,
    ("datasets",): never,
    ("datasets", "simulated"): is_one_of(None, {}),
    ("datasets", "simulated", "cells"): is_whole(10),
    ("datasets", "simulated", "modalities"): is_one_of([]),
    ("datasets", "simulated", "batches"): WHOLE_FROM_1,
    ("datasets", "simulated", "shared"): WHOLE_FROM_1,
    ("datasets", "simulated", "private_features"): is_one_of(None, {}),
    ("datasets", "simulated", "seed"): WHOLE_FROM_0,
    ("datasets", "own", "path"): never,
    ("datasets", "own", "path", "rna"): never,
    ("datasets", "own", "cell_type"): may_be_null(is_word),
    ("datasets", "own", "batch"): may_be_null(is_word),
    ("datasets", "own", "groups"): is_list(is_word),
    ("datasets", "own", "values"): is_one_of({}),
    ("datasets", "own", "kinds"): is_one_of(None, {}),
    ("datasets", "own", "kinds", "rna"): never,
    ("datasets", "own", "labels"): is_one_of(None),
    ("datasets", "own", "labels", "path"): never,
    ("datasets", "own", "labels", "column"): is_word,
    ("datasets", "own", "labels", "barcode"): is_word,
    ("datasets", "own", "labels", "suffix"): is_text,
    ("datasets", "own", "labels", "remove"): is_text,
    ("datasets", "own", "labels_from"): is_list(is_word, distinct=True),
    ("datasets", "own", "unlabelled"): is_list(is_word),
    ("datasets", "own", "dropped_types"): is_list(is_word),
    ("datasets", "own", "qc"): is_one_of(None, {}),
    ("datasets", "own", "qc", "rna"): is_one_of({}),
    ("datasets", "own", "qc", "rna", "min_features"): THRESHOLD,
    ("datasets", "own", "qc", "rna", "max_counts"): THRESHOLD,
    ("datasets", "own", "qc", "rna", "max_mito"): SHARE,
    ("datasets", "own", "qc", "rna", "min_cells"): WHOLE_FROM_0,
    ("datasets", "own", "association"): is_one_of(None),
    ("datasets", "own", "association", "cell_type"): is_word,
    ("datasets", "own", "association", "relevant"): is_map(WHOLE_FROM_0),
    ("datasets", "own", "association", "relevant", "rna"): WHOLE_FROM_0,
    ("datasets", "own", "cells"): may_be_null(WHOLE_FROM_1),
    ("datasets", "own", "links"): is_flag,
    ("datasets", "own", "gtf"): is_one_of(None),
    ("datasets", "own", "upstream"): WHOLE_FROM_0,
}
NAMED = (
    ("datasets",),
    ("scenarios",),
    ("runs",),
)  # mappings whose keys are names of a person's own
ANY_TEXT = (  # mappings whose keys are the person's own as well, but no folder
    ("datasets", "own", "path"),
    ("scenarios", "mosaic", "imbalance"),
    ("report", "sweep", "series"),
)


def valid_config(folder: Path) -> dict:
    """Return a config in which every key of the grammar stands with a right value; its files are in `folder`."""
    for name in ("rna.csv", "adt.csv", "labels.tsv"):
        (folder / name).touch()
    labels = {
        "path": f"{folder}/labels.tsv",
        "column": "type",
        "barcode": "cell",
        "suffix": "-1",
        "remove": "_1",
    }
    own = {
        "path": {"rna": f"{folder}/rna.csv", "adt": [f"{folder}/adt.csv"]},
        "cell_type": "type",
        "batch": "donor",
    }
    own |= {
        "groups": ["site"],
        "values": {"rna": "counts"},
        "kinds": {"rna": "rna"},
        "labels": labels,
        "labels_from": ["rna"],
    }
    own |= {
        "unlabelled": ["unknown"],
        "dropped_types": ["doublet"],
        "cells": 100,
        "links": True,
        "gtf": None,
        "upstream": 10,
    }
    own["qc"] = {"rna": {"min_features": 3, "max_counts": 1e4, "max_mito": 0.2, "min_cells": 2}}
    own["association"] = {"cell_type": "B", "relevant": {"rna": 10}, "irrelevant": {"rna": 5}}
    simulated = {
        "cells": 100,
        "modalities": ["rna", "adt"],
        "batches": 2,
        "shared": 3,
        "private_features": {"rna": 5},
        "seed": 1,
    }
    paired = {
        "kind": "paired",
        "query_fraction": 0.3,
        "split": {"by": "donor", "held_out": ["a", 1]},
    }
    paired |= {"labelled": {"share": 0.1, "least": 1}, "datasets": ["own"]}
    mosaic = {
        "kind": "mosaic",
        "paired_fraction": 0.5,
        "balanced": True,
        "imbalance": {"adt": ["B"]},
        "corrupted_links": 0.1,
    }
    mvae = {
        "beta": 1,
        "latent": 5,
        "hidden": 8,
        "learning_rate": 0.1,
        "gradient_clip": 1.0,
        "validation": 0.1,
        "warmup": 0.1,
    }
    mvae |= {"likelihood": "gaussian", "likelihood_rescaling": False, "max_epochs": 3}
    scmodal = {
        "critic_betas": [0.5, 0.9],
        "order": ["rna", "adt"],
        "critic_weight": 1.0,
        "near": 0.1,
    }
    sweep = {
        "label": "n",
        "log": True,
        "metrics": {"foscttm": None},
        "series": {"runs": {"mvae": 1, "poe": 2}},
    }
    return {
        "datasets": {"simulated": simulated, "own": own},
        "registry": None,
        "scenarios": {
            "paired": paired,
            "mosaic": mosaic,
            "blocks": {"kind": "mosaic", "blocks": [["rna"], ["rna", "adt"]], "shares": [1, 2]},
        },
        "runs": {
            "mvae": mvae,
            "poe": {"method": "vae_poe", "modality_dropout": 0.2},
            "scmodal": scmodal,
            "cca": {"components": 5},
            "ridge": {},
        },
        "seeds": [7, 8],
        "training": {"max_epochs": 5, "patience": 2, "batch_size": 16, "seeds_at_once": "auto"},
        "few_jobs": True,
        "preprocess": {"rna": {"features": 20}, "atac": {"features": 10, "components": 3}},
        "metrics": {"groups": ["alignment"]},
        "keep": ["mvae"],
        "limits": {"minutes": 5, "memory_mb": 1000},
        "report": {"projected_runs": ["mvae"], "reference_run": "cca", "sweep": sweep},
        "pathvars": {"results": "out", "logs": "log"},
    }


def attack(*, short: bool, seed: int, folder: Path) -> list[Outcome]:
    """Return what became of odd values, odd names and keys."""
    draw = random.Random(seed)
    return [
        odd_values(draw, folder, 100 if short else 600),
        odd_keys(draw, folder, 40 if short else 200),
    ]


def odd_values(draw: random.Random, folder: Path, tries: int) -> Outcome:
    """Put odd values in the place of right ones; what the grammar refuses has to be refused with the key."""
    outcome, config = Outcome("odd value in a config"), valid_config(folder)
    assert settings.load(config)
    for _ in range(tries):
        key, value = draw.choice(list(CONFIG)), draw.choice(ODD)
        changed = copy.deepcopy(config)
        set_at(changed, key, copy.deepcopy(value))
        judge(
            outcome,
            f"{dotted(key)}: {value!r}",
            lambda changed=changed: settings.load(changed),
            key[0],
            CONFIG[key](value),
        )
    return outcome


def odd_keys(draw: random.Random, folder: Path, tries: int) -> Outcome:
    """Add a key that there is not, or a name that no folder and no text can have, to any mapping of a config."""
    outcome, config = Outcome("odd name or unknown key in a config"), valid_config(folder)
    places = [place for place in mappings(config) if place not in ANY_TEXT]
    for _ in range(tries):
        place, name = draw.choice(places), draw.choice([*NAMES, "unknwon"])
        changed = copy.deepcopy(config)
        at(changed, place)[name] = (
            {"method": "mvae"} if place == ("runs",) else {"from": "teaseq_small"}
        )
        judge(
            outcome,
            f"{dotted(place)}, key {name!r}",
            lambda changed=changed: settings.load(changed),
            (*place, "top level")[0],
        )
    return outcome


def judge(
    outcome: Outcome, what: str, check: Callable, word: str, allowed: bool | None = False
) -> None:
    """Count one try: a message with the key or file, or a right acceptance, survives.

    Parameters
    ----------
    outcome
        Counts tries of this kind.
    what
        For the notes.
    check
        What reads the config or the file.
    word
        What a message has to name: a key or a file.
    allowed
        Whether it may be accepted; None where nobody says.
    """
    outcome.tried += 1
    try:
        check()
    except UserError as error:
        if word not in str(error) or "\n" in str(error).strip() or len(str(error)) > 1500:
            outcome.tracebacks += 1
            outcome.notes.append(
                f"{what[:200]}: not one message with {word!r}: {str(error)[:300]!r}"
            )
        elif allowed:
            outcome.tracebacks += 1
            outcome.notes.append(f"{what[:200]}: refused, though it is right: {error}")
    except Exception as error:
        outcome.tracebacks += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        outcome.notes.append(
            f"{what[:200]}: {type(error).__name__}: {error!s:.200} ({Path(last.filename).name}:{last.lineno})"
        )
    else:
        if allowed is False:
            outcome.silent += 1
            outcome.notes.append(f"{what[:200]}: accepted in silence")


def at(config: object, place: tuple) -> object:
    for key in place:
        config = config[key]
    return config


def set_at(config: dict, place: tuple, value: object) -> None:
    at(config, place[:-1])[place[-1]] = value


def dotted(place: tuple) -> str:
    return ".".join(map(str, place)) or "top level"


def mappings(config: object, place: tuple = ()) -> list[tuple]:
    """Return the place of every mapping of a config."""
    parts = (
        config.items()
        if isinstance(config, dict)
        else enumerate(config)
        if isinstance(config, list)
        else ()
    )
    found = [place] if isinstance(config, dict) else []
    return found + [inner for key, part in parts for inner in mappings(part, (*place, key))]
