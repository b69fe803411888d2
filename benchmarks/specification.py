"""Each claim of config/specification.yaml in the paper's setting, in ours, and in between.

    python benchmarks/specification.py --plan           # what is left of each claim, with its hours
    python benchmarks/specification.py                  # run what is left; continues
    python benchmarks/specification.py --only CLAIM     # these claims, or all that begin so
    python benchmarks/specification.py --hours 5        # start no specification after five hours
    python benchmarks/specification.py --verify         # after a change of code that should leave all scores equal

Set OMP_NUM_THREADS=1 and NUMBA_NUM_THREADS=1; it uses the CPU alone. A row of
docs/results/specification.tsv is a claim, a specification and a seed: the level of each factor, and
the score and status of each side. A specification with rows of the present code and settings is
skipped. Pairs of changes follow once all single ones are known: those that alone turn the sign, with
an interval on the other side of 0. Files of a claim are in results/specification/CLAIM. `--verify` runs both settings of
a claim again; if they score as stored, its rows count as made by the present code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import resource
import sys
import time
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before PyTorch is imported

import numpy as np
import pandas as pd
import yaml

from mosaicbench.catalog import catalog
from mosaicbench.commands import fit, prepare, score, split
from mosaicbench.config import jobs, settings
from mosaicbench.errors import UserError
from mosaicbench.files.runs import read_record
from mosaicbench.files.scores import read_scores
from mosaicbench.files.tables import read_table, write_table
from mosaicbench.fitting.record import git_commit
from mosaicbench.stats.common import BY_DISTANCE, half_width
from mosaicbench.workflow import resources
from mosaicbench.workflow.layout import Results

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "docs/site"))
import provenance  # noqa: E402

LIST, TABLE = (
    REPOSITORY / "config/specification.yaml",
    REPOSITORY / "docs/results/specification.tsv",
)
RESOURCES, RESULTS = REPOSITORY / "config/resources.tsv", Path("results/specification")
PAPER, OURS = "paper", "ours"
BASES = (PAPER, OURS)
OWN_END = "own end"
FACTORS = ["data", "cells", "transform", "standardised", "warmup", "weights", "latent", "steps"]
FACTORS += ["distance", "modality_dropout", "settings"]
SIDES = ["first", "score_first", "status_first", "second", "score_second", "status_second"]
KEYS = ["claim", "specification", "seed"]
COLUMNS = [*KEYS, "base", *FACTORS, "metric", *SIDES, "cpu_seconds", "commit", "code_key"]
BATCH, TRAIN = 128, 0.8  # cells of a minibatch; fraction of the cells that are trained on
HOUR = 3600


@dataclass(frozen=True)
class Specification:
    """A claim in one setting.

    Attributes
    ----------
    base
        "paper" or "ours": the setting before the changes.
    changes, levels
        factor -> level: what differs from the base, and all.
    """

    claim: str
    base: str
    changes: dict
    levels: dict

    @property
    def name(self) -> str:
        """The base and the changes in words."""
        changed = [f"{factor}={level}" for factor, level in self.changes.items()]
        return "; ".join([self.base, *changed])


# --- which specifications there are ---


def read_list(path: Path = LIST) -> dict:
    """Return the list of claims and factors."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def factors_of(listed: dict, claim: str) -> dict[str, list]:
    """Return factor -> levels, of all that can change a claim's effect."""
    stanza = listed["claims"][claim]
    own = {"data": stanza["data"], "settings": list(stanza["settings"])}
    found = listed["factors"] | stanza.get("factors", {}) | own
    if not any(listed["data"][name].get("atac") for name in stanza["data"]):
        del found["transform"]
    if stanza["metric"] not in BY_DISTANCE:
        del found["distance"]
    return {name: found[name] for name in FACTORS if name in found and not _absent(stanza, name)}


def _absent(stanza: dict, factor: str) -> bool:
    return factor in stanza.get("without", ())


def specification(listed: dict, claim: str, base: str, changes: dict) -> Specification | None:
    """Return the specification, None where the data cannot have it."""
    stanza = listed["claims"][claim]
    levels = stanza[base] | {"settings": base} | changes
    data = listed["data"][levels["data"]]
    if "cells" not in changes:  # all that there are, if other data are smaller
        levels["cells"] = min(levels["cells"], data["cells"])
    has_atac = data.get("atac", False)
    if levels["cells"] > data["cells"] or ("transform" in changes and not has_atac):
        return None
    if not has_atac:
        levels.pop("transform", None)
    return Specification(claim, base, changes, levels)


def one_at_a_time(listed: dict, claim: str) -> list[Specification]:
    """Return both settings, then each with every other level of every factor."""
    stanza, found = listed["claims"][claim], []
    for base in BASES:
        found.append(specification(listed, claim, base, {}))
    for factor, levels in factors_of(listed, claim).items():
        for base in BASES:
            own = (stanza[base] | {"settings": base}).get(factor)
            for level in levels:
                if level != own:
                    found.append(specification(listed, claim, base, {factor: level}))
    return [one for one in found if one is not None][: listed["most"]]


def effects(table: pd.DataFrame) -> pd.Series:
    """Return the effect of each row: above 0 where the first side has the better score.

    Parameters
    ----------
    table
        Columns `COLUMNS`.
    """
    cards = catalog.cards("metrics")
    lower = table["metric"].map(lambda name: cards[name]["better"] == "lower")
    gaps = table["score_first"] - table["score_second"]
    return gaps.where(~lower, -gaps)


def pairs(listed: dict, claim: str, table: pd.DataFrame) -> list[Specification]:
    """Return the pairs of changes that alone turn the sign of their base's mean effect.

    Their 95 % intervals over seeds are on the other side of 0. Those with the largest effects are
    first.

    Parameters
    ----------
    table
        Columns `COLUMNS`; without all changes of one factor there are no pairs.
    """
    alone = [one for one in one_at_a_time(listed, claim) if not too_long(listed, one)]
    rows = table[table["claim"] == claim]
    gaps = effects(rows).dropna().groupby(rows["specification"])
    means, halves = gaps.mean(), gaps.agg(lambda seeds: half_width(seeds.to_numpy()))
    if not {one.name for one in alone} <= set(rows["specification"]):
        return []
    scored = [one for one in alone if {one.name, one.base} <= set(means.index)]
    sure = [one for one in scored if abs(means[one.name]) > halves[one.name]]
    turned = [one for one in sure if means[one.name] * means[one.base] < 0]
    found = []
    for one, other in combinations(turned, 2):
        if one.base == other.base and set(one.changes) != set(other.changes):
            pair = specification(listed, claim, one.base, one.changes | other.changes)
            if pair is not None:
                found.append((abs(means[one.name]) + abs(means[other.name]), pair))
    found.sort(key=lambda each: -each[0])
    return [pair for _, pair in found][: listed["most"] - len(alone)]


# --- what a specification runs ---


def config_of(listed: dict, spec: Specification) -> dict:
    """Return the config of a specification: one dataset, one scenario, two or more runs."""
    stanza, levels = listed["claims"][spec.claim], spec.levels
    data = listed["data"][levels["data"]]
    dataset = f"{levels['data']}-{levels['cells']}".replace(" ", "_")
    options = {}
    for factor, kinds in (("transform", ["atac"]), ("standardised", _kinds(data))):
        for kind in kinds if factor in levels else ():
            set_by_level = listed["factors"][factor][levels[factor]]
            options[kind] = options.get(kind, {}) | set_by_level
    scenario = stanza["scenario"] | {"preprocess": {k: x for k, x in options.items() if x}}
    given = {
        name: levels[name]
        for name in ("warmup", "weights", "latent", "modality_dropout")
        if name in levels
    }
    given |= stanza["settings"][levels["settings"]]
    runs = {}
    for side in [stanza["first"], *stanza["second"]]:
        own = {key: x for key, x in side.items() if key != "method"}
        known = catalog.hyperparameters(side["method"])
        run = {key: x for key, x in (given | own).items() if key in known}
        run |= {key: x for key, x in _length(levels, run).items() if key in known}
        runs[_named(side["method"], run)] = {"method": side["method"]} | run
    return {
        "datasets": {dataset: _dataset(data, levels["cells"])},
        "scenarios": {_named(stanza["scenario"]["kind"], scenario): scenario},
        "runs": runs,
        "seeds": list(range(listed["seeds"])),
        "preprocess": listed["preprocess"],
        "metrics": {"groups": [catalog.card("metrics", stanza["metric"])["group"], "sanity"]},
        "save_models": [],
        "report": {"umap_runs": []},
    }


def _kinds(data: dict) -> list[str]:
    if data["stanza"].get("loader") == "synthetic_gp":
        return ["continuous"]
    return ["rna", "atac"] if data.get("atac") else ["rna", "adt"]


def _dataset(data: dict, cells: int) -> dict:
    """Return the stanza of a dataset with so many cells."""
    small = data.get("small", {"cells": 0})
    data = small if cells <= small["cells"] else data
    whole = cells == data["cells"] and "loader" not in data["stanza"]
    return data["stanza"] | ({} if whole else {"cells": cells})


def _length(levels: dict, run: dict) -> dict[str, int]:
    """Return the keys that make a training as long as a level of `steps` says."""
    if levels["steps"] == OWN_END:
        return {}
    per_epoch = math.ceil(TRAIN * levels["cells"] / run.get("batch_size", BATCH))
    epochs = max(1, round(levels["steps"] / per_epoch))
    return {"max_epochs": epochs, "patience": epochs, "steps": levels["steps"]}


def _named(name: str, stanza: dict) -> str:
    text = json.dumps(stanza, sort_keys=True)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def metric_of(listed: dict, spec: Specification) -> str:
    """Return the score of a claim, by the distance of a specification."""
    metric = listed["claims"][spec.claim]["metric"]
    return BY_DISTANCE[metric][spec.levels["distance"]] if metric in BY_DISTANCE else metric


# --- what is left, and its hours ---


def key_of(config: dict) -> str:
    """Return the digest of a specification's settings and of all code that makes its scores."""
    return _key_of_text(yaml.safe_dump(config, sort_keys=False))


@cache
def _key_of_text(text: str) -> str:
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return provenance.code_key(Path(file.name))


def fits_of(listed: dict, spec: Specification) -> dict[tuple, float]:
    """Return place and run of each fit of a specification -> estimated CPU hours of all seeds."""
    costs = _costs()
    config, found = config_of(listed, spec), {}
    thousands = TRAIN * spec.levels["cells"] / 1000
    place = (spec.claim, *config["datasets"], *config["scenarios"])
    for name, run in config["runs"].items():
        cost, epochs = costs.loc[run["method"]], 1
        if cost["epochs"]:
            epochs = run.get("max_epochs", listed["own_end"])
            if run.get("weights") == "last" and spec.levels["steps"] == OWN_END:
                epochs = catalog.hyperparameters(run["method"])["max_epochs"].default
        small = BATCH / min(BATCH, run.get("batch_size", BATCH))
        seconds = (
            cost["start_seconds"] + cost["seconds_per_1000_cells"] * thousands * epochs * small
        )
        found[(*place, name)] = seconds * listed["seeds"] / HOUR
    return found


@cache
def _costs() -> pd.DataFrame:
    return read_table(RESOURCES, resources.COLUMNS).set_index("work")


def too_long(listed: dict, spec: Specification) -> bool:
    """Say whether a fit of a specification is estimated to take longer than the list allows."""
    return max(fits_of(listed, spec).values()) / listed["seeds"] > listed["hours"]


def known(table: Path = TABLE) -> pd.DataFrame:
    """Return the rows that exist, columns `COLUMNS`."""
    if not table.is_file():
        return pd.DataFrame(columns=COLUMNS)
    texts = dict.fromkeys([*FACTORS, "commit", "code_key"], str)
    return pd.read_csv(
        table,
        sep="\t",
        dtype=texts,
        keep_default_na=False,
        na_values={column: [""] for column in ("score_first", "score_second", "cpu_seconds")},
    )


def without_rows(listed: dict, claim: str, table: pd.DataFrame) -> list[Specification]:
    """Return the specifications of a claim that have no rows and are not too long."""
    done = set(table.loc[table["claim"] == claim, "specification"])
    every = [*one_at_a_time(listed, claim), *pairs(listed, claim, table)]
    return [one for one in every if one.name not in done and not too_long(listed, one)]


def left(listed: dict, claim: str, table: pd.DataFrame) -> list[Specification]:
    """Return those without rows or with rows of older code: both settings, then the quickest."""
    keys = table[table["claim"] == claim].groupby("specification")["code_key"].last()
    found = without_rows(listed, claim, table)
    for one in [*one_at_a_time(listed, claim), *pairs(listed, claim, table)]:
        if one.name in keys and keys[one.name] != key_of(config_of(listed, one)):
            found.append(one)
    found.sort(key=lambda one: sum(fits_of(listed, one).values()) if one.changes else 0)
    return found


def hours_of(listed: dict, specs: list[Specification]) -> float:
    """Return the estimated CPU hours of specifications; a fit of several counts once."""
    fits = {}
    for spec in specs:
        fits |= fits_of(listed, spec)
    return sum(fits.values())


def planned(listed: dict, claims: list[str], table: pd.DataFrame) -> str:
    """Return a line per claim, and one per specification that is too long to run."""
    lines = [
        f"{'claim':24}{'one factor':>11}{'pairs':>7}{'with rows':>10}{'left':>6}{'CPU hours':>11}"
    ]
    total = 0.0
    for claim in claims:
        alone, turned = one_at_a_time(listed, claim), pairs(listed, claim, table)
        done = table.loc[table["claim"] == claim, "specification"].nunique()
        waiting = left(listed, claim, table)
        hours = hours_of(listed, waiting)
        total += hours
        counts = f"{len(alone):11}{len(turned):7}{done:10}{len(waiting):6}"
        lines.append(f"{claim:24}{counts}{hours:11.2f}")
        for one in [*alone, *turned]:
            if too_long(listed, one):
                longest = max(fits_of(listed, one).values()) / listed["seeds"]
                lines.append(f"  not run: {one.name}: a fit takes {longest:.1f} hours")
    lines.append(f"{'all':24}{'':34}{total:11.2f}")
    lines.append("Pairs are known once all changes of one factor have rows.")
    return "\n".join(lines)


# --- running ---


def run(listed: dict, spec: Specification, folder: Path) -> pd.DataFrame:
    """Prepare, split, fit and score what has no files in a folder; return a row per seed."""
    config = config_of(listed, spec)
    bench, results = settings.load(config), Results(folder)
    (place,) = bench.splits
    begin = _cpu()
    if not Path(results.dataset(place[0])).is_file():
        prepare.main(**jobs.prepare(bench, results, dataset=place[0]))
    if not Path(results.split(*place, bench.seeds[-1]), "solution.h5mu").is_file():
        split.main(**jobs.split(bench, results, split=place))
    for name in bench.runs:
        if not Path(results.run(*place, name), "scores.tsv").is_file():
            job = jobs.fit(bench, results, split=place, runs=[name])
            fit.main(**job, checkpoint_seconds=float("inf"))
            score.main(**jobs.score(bench, results, split=place, runs=[name]))
            for seed in bench.seeds:
                folder = Path(results.fit(*place, name, seed))
                for file in ("imputed.h5mu", "latents.h5ad", "train_latents.h5ad"):
                    (folder / file).unlink(missing_ok=True)
    metric = metric_of(listed, spec)
    first, *others = [_scores(results, place, name, bench.seeds, metric) for name in bench.runs]
    sign = -1 if catalog.card("metrics", metric)["better"] == "lower" else 1
    second = max(others, key=lambda side: _mean(side, sign))
    rows = pd.DataFrame({"seed": bench.seeds}).assign(
        claim=spec.claim,
        specification=spec.name,
        base=spec.base,
        **{factor: spec.levels.get(factor, "") for factor in FACTORS},
        metric=metric,
        cpu_seconds=round((_cpu() - begin) / len(bench.seeds), 2),
        commit=git_commit(),
        code_key=key_of(config),
    )
    for name, side in (("first", first), ("second", second)):
        method = bench.runs[side["run"].iloc[0]].method
        rows[name] = method
        rows[f"score_{name}"] = side["value"].round(5).to_numpy()
        rows[f"status_{name}"] = side["status"].to_numpy()
    return rows[COLUMNS]


def _cpu() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def _scores(
    results: Results, place: tuple, name: str, seeds: list[int], metric: str
) -> pd.DataFrame:
    """Return run, value (mean over directions, NaN without one) and status of each seed."""
    folder = Path(results.run(*place, name))
    scores = read_scores(folder / "scores.tsv")
    values = scores[scores["metric"] == metric].groupby("seed")["value"].mean()
    status = [read_record(folder / f"seed-{seed}/run.json")["status"] for seed in seeds]
    found = pd.DataFrame({"value": values.reindex(seeds), "status": status})
    return found.assign(run=name)


def _mean(side: pd.DataFrame, sign: int) -> float:
    mean = sign * side["value"].mean()
    return -math.inf if math.isnan(mean) else mean


def add(rows: pd.DataFrame, path: Path = TABLE) -> None:
    """Put rows into the table, where they replace those of the same specification."""
    earlier = [known(path)] if path.is_file() else []
    table = pd.concat([*earlier, rows.astype(dict.fromkeys(FACTORS, str))])
    table = table.drop_duplicates(KEYS, keep="last").sort_values(KEYS, kind="stable")
    write_table(path, table[COLUMNS])


def advance(listed: dict, claim: str, until: float) -> list[str]:
    """Run what is left of a claim, then its pairs, until a time; return why some could not run."""
    folder = RESULTS / claim / key_of(config_of(listed, one_at_a_time(listed, claim)[0]))
    failed: dict[str, str] = {}
    while waiting := [one for one in left(listed, claim, known()) if one.name not in failed]:
        for spec in waiting:
            if time.monotonic() > until:
                print(f"the time has passed; the next one is {claim}: {spec.name}")
                return [*failed.values()]
            print(f"{claim}: {spec.name}", flush=True)
            try:
                add(run(listed, spec, folder))
            except UserError as error:
                failed[spec.name] = f"{claim}: {spec.name}: {error}"
                print(failed[spec.name], flush=True)
    return [*failed.values()]


def verify(listed: dict, claim: str, path: Path = TABLE) -> bool:
    """Run both settings of a claim again; if they score as stored, give its rows the present code's keys."""
    table = known(path)
    of_claim = table["claim"] == claim
    bases = [specification(listed, claim, base, {}) for base in BASES]
    stored = table[of_claim & table["specification"].isin([one.name for one in bases])]
    with TemporaryDirectory() as folder:
        again = pd.concat([run(listed, one, Path(folder)) for one in bases])
    both = stored.merge(again, on=KEYS, suffixes=("", "_now"))
    equal = len(both) == len(again) and all(
        np.allclose(both[name], both[f"{name}_now"], rtol=0, atol=2e-5, equal_nan=True)
        for name in ("score_first", "score_second")
    )
    if equal:
        every = [*one_at_a_time(listed, claim), *pairs(listed, claim, table)]
        keys = {one.name: key_of(config_of(listed, one)) for one in every}
        renewed = table.loc[of_claim, "specification"].map(keys)
        table.loc[of_claim, "code_key"] = renewed.fillna(table["code_key"])
        write_table(path, table[COLUMNS])
    return equal


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plan", action="store_true", help="print what is left; run nothing")
    parser.add_argument("--only", nargs="+", metavar="CLAIM", help="or the beginning of its name")
    parser.add_argument("--hours", type=float, default=math.inf, help="start nothing later")
    parser.add_argument(
        "--verify", action="store_true", help="scores of the present code are equal"
    )
    given = parser.parse_args()
    os.chdir(REPOSITORY)
    listed = read_list()
    claims = [one for one in listed["claims"] if one.startswith(tuple(given.only or [""]))]
    if not claims:
        raise UserError(
            f"--only: no claim has such a name; there are {', '.join(listed['claims'])}"
        )
    if given.plan:
        print(planned(listed, claims, known()))
        return
    if given.verify:
        for claim in sorted(set(known()["claim"]) & set(claims)):
            print(f"{claim}: {'equal' if verify(listed, claim) else 'not equal: run it anew'}")
        return
    until, failed = time.monotonic() + given.hours * HOUR, []
    for claim in claims:
        if time.monotonic() < until:
            failed += advance(listed, claim, until)
    if failed:
        raise UserError("\n".join(["not run; mend these, and run it again", *failed]))


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"specification: {error}")
