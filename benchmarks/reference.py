"""The reference results of config/reference.yaml, piece by piece.

    python benchmarks/reference.py --plan             # the pieces with their estimated hours, in their order; what is left out
    python benchmarks/reference.py --cores 2          # run what is not complete; `make reference`
    python benchmarks/reference.py --only PIECE ...   # these pieces, or all whose names begin so
    python benchmarks/reference.py --hours 5          # start no piece after five hours
    python benchmarks/reference.py --refit RUN ...    # fit these again wherever they are stored, after a change of theirs
    python benchmarks/reference.py --verify           # after a change of code that should leave all scores equal

A piece has its results in results/reference/PIECE and its config beside it; when it is complete, its scores go to the store,
src/mosaicbench/data/reference, which is committed. A piece that the store has is skipped, unless its config
or the code of its scores changed. `--refit` makes a piece PIECE.again, which replaces scores of PIECE until PIECE runs again as a whole. `--verify` fits the first
seed of the smallest dataset of each scenario again; a piece whose runs all score as stored then counts as made by the present code.
A wrapped package that is not installed, or whose environment cannot be built here, is left out.
"""

from __future__ import annotations

import argparse
import os
import runpy
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mosaicbench.catalog import catalog
from mosaicbench.commands import plan
from mosaicbench.config import jobs, recorded, settings
from mosaicbench.errors import UserError
from mosaicbench.files import reference
from mosaicbench.files.atomic import write_text
from mosaicbench.files.runs import read_record
from mosaicbench.files.scores import SCORE_COLUMNS, read_cells, read_scores
from mosaicbench.files.tables import read_table
from mosaicbench.stats.common import RUN, joined
from mosaicbench.workflow import layout, resources

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "docs/site"))
import provenance  # noqa: E402

LIST, RESULTS = REPOSITORY / "config/reference.yaml", Path("results/reference")
HOUR = 3600
VALUES = ("value", "status")
AGAIN = ".again"  # ends the name of a piece that --refit made
QUICK, USUAL, SLOW, FIVE = "quick", "usual", "slow", "five"


@dataclass(frozen=True)
class Piece:
    """Runs of one dataset and scenario with equally many seeds.

    Attributes
    ----------
    hours
        The estimated CPU hours.
    """

    name: str
    config: dict
    hours: float

    @property
    def folder(self) -> Path:
        """The results folder."""
        return RESULTS / self.name

    @property
    def file(self) -> Path:
        """The config."""
        return RESULTS / f"{self.name}.yaml"


def pieces(listed: dict) -> tuple[list[Piece], list[dict]]:
    """Return all pieces in their order, and dataset, scenario, run and hours of each run that is left out."""
    found, left_out = [], []
    for group in listed["order"]:
        for dataset in group["datasets"]:
            for scenario in group["scenarios"]:
                packages = group.get("packages", False)
                config = config_of(listed, dataset, scenario, packages)
                rows = estimated(config | {"seeds": [0]}, listed["epochs"]).set_index("work")
                seconds = (rows.loc[list(config["runs"]), "hours"] * HOUR).to_dict()
                for run, taken in seconds.items():
                    if taken > listed["hours"] * HOUR:
                        place = {"dataset": dataset, "scenario": scenario, "run": run}
                        left_out.append(place | {"hours": round(taken / HOUR, 1)})
                kept = {run: s for run, s in seconds.items() if s <= listed["hours"] * HOUR}
                for pace, of_pace in by_pace(listed, dataset, kept).items():
                    name = f"{dataset}.{scenario}.{'packages-' * packages}{pace}"
                    seeds = listed["seeds"] if pace == USUAL else listed[pace]["seeds"]
                    of_piece = config | {
                        "runs": dict.fromkeys(of_pace),
                        "seeds": list(range(seeds)),
                        "pathvars": {
                            "results": str(RESULTS / name),
                            "logs": f"logs/reference/{name}",
                        },
                    }
                    hours = estimated(of_piece, listed["epochs"])["hours"].sum()
                    found.append(Piece(name, of_piece, hours))
    return found, left_out


def by_pace(listed: dict, dataset: str, seconds: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return pace, a key of the list with a number of seeds -> run -> seconds."""
    found: dict[str, dict[str, float]] = {QUICK: {}, USUAL: {}, SLOW: {}, FIVE: {}}
    named = listed[FIVE]["runs"] if dataset in listed[FIVE]["datasets"] else ()
    for run, taken in seconds.items():
        quick, slow = taken < listed[QUICK]["seconds"], taken > listed[SLOW]["seconds"]
        pace = FIVE if run in named else QUICK if quick else SLOW if slow else USUAL
        found[pace][run] = taken
    return {pace: of_pace for pace, of_pace in found.items() if of_pace}


def config_of(listed: dict, dataset: str, scenario: str, packages: bool) -> dict:
    """Return the config of all methods that can learn in a scenario, or of all wrapped packages."""
    runs = []
    for name, card in catalog.cards("methods").items():
        inputs = set(card.get("inputs", ()))
        blind = scenario == "unpaired" and {"pairs", "links"} & inputs == {"pairs"}
        chosen = "external" not in card and ("wraps" in card) == packages
        if chosen and scenario_kind(listed, scenario) in card["scenarios"] and not blind:
            runs.append(name)
    return {
        "datasets": {dataset: listed["datasets"][dataset]},
        "scenarios": {scenario: listed["scenarios"][scenario]},
        "runs": dict.fromkeys(runs),
        "metrics": listed["metrics"],
        "limits": {"minutes": 2 * 60 * listed["hours"]},
        "save_models": [],
        "keep_imputed": (listed["datasets"][dataset] or {}).get("cells", 0) <= jobs.SMALL,
        "report": {"umap_runs": []},
    }


def scenario_kind(listed: dict, scenario: str) -> str:
    """Return how a scenario hides pairs."""
    return listed["scenarios"][scenario]["kind"]


def estimated(config: dict, epochs: int) -> pd.DataFrame:
    """Return the rows of `mosaicbench plan`."""
    bench = settings.load(config | {"training": {"max_epochs": epochs}})
    table = read_table(layout.project_file("config/resources.tsv"), resources.COLUMNS)
    return resources.planned(bench, table, plan._sizes(bench))


def is_available(run: str) -> bool:
    """Say whether a run's package is installed; if it has its own environment, whether that is there or can be built here."""
    card = catalog.card("methods", run)
    environment, module = card.get("environment"), card.get("wraps", {}).get("module")
    if environment is None:
        if module in (None, "R") or find_spec(module):
            return True
        print(f"left out: {run}: its package is not installed", flush=True)
        return False
    if (layout.environments() / environment / ".ready").is_file():
        return True
    build = runpy.run_path(str(REPOSITORY / "envs/build.py"))
    pins = REPOSITORY / f"envs/peers/{environment}.txt"
    try:
        build["chosen"](str(pins), build["allowed"](pins.read_text()))
    except SystemExit as reason:
        print(f"left out: {run}: {reason}", flush=True)
        return False
    return True


def run(piece: Piece, left_out: list[dict], cores: str) -> bool:
    """Run a piece to its end and say whether it is complete."""
    runs = [name for name in piece.config["runs"] if is_available(name)]
    if not runs:
        return True
    config = piece.config | {"runs": dict.fromkeys(runs)}
    piece = replace(piece, config=config)
    write_text(piece.file, yaml.safe_dump(config, sort_keys=False))
    key = provenance.code_key(piece.file)
    if (config, key) in [(one["config"], one["code_key"]) for one in stored().pieces]:
        print(f"{piece.name}: complete", flush=True)
        return True
    print(f"{piece.name}: {len(runs)} runs, about {piece.hours:.2g} CPU hours", flush=True)
    ended = made(piece.file, piece.folder, cores)
    if ended:
        store(piece, left_out)
    return ended


def made(config: Path, results: Path, cores: str) -> bool:
    """Run the workflow to its tables and say whether it ended well."""
    command = [sys.executable, "-m", "snakemake", "--cores", cores, "--configfile", str(config)]
    command += ["--keep-going", "--rerun-incomplete", "--quiet", "rules"]
    command += ["--", f"{results}/tables/contents.tsv"]
    ended = subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return ended.returncode == 0


def stored(folder: Path = reference.FOLDER) -> reference.Reference:
    """Return the store, empty if there is none."""
    return reference.read(folder) if folder.is_dir() else reference.empty()


def refit(runs: list[str], cores: str) -> None:
    """Fit runs again in every piece that has them; each is stored as a piece of its own, which replaces their scores."""
    before = stored()
    known = {run for one in before.pieces for run in one["config"]["runs"]}
    if missing := sorted(set(runs) - known):
        raise UserError(f"--refit: no stored run is called {', '.join(missing)}")
    for one in before.pieces:
        again = dict.fromkeys(run for run in one["config"]["runs"] if run in runs)
        if not again or one["piece"].endswith(AGAIN):
            continue
        name = f"{one['piece']}{AGAIN}"
        places = {"results": str(RESULTS / name), "logs": f"logs/reference/{name}"}
        piece = Piece(name, one["config"] | {"runs": again, "pathvars": places}, 0)
        write_text(piece.file, yaml.safe_dump(piece.config, sort_keys=False))
        if not made(piece.file, piece.folder, cores):
            raise UserError(f"logs/reference/{name}: not all runs ended; run it again")
        store(piece, before.left_out)
        print(f"{name}: complete", flush=True)


def verify(cores: str) -> None:
    """Fit a seed of the smallest dataset of each scenario again, and give pieces of equal scores the present code's key."""
    store = stored()
    equal = {name: equal_runs(store, name, cores) for name in store.scores["scenario"].unique()}
    for piece in store.pieces:
        (scenario,) = piece["config"]["scenarios"]
        if set(piece["config"]["runs"]) <= equal[scenario]:
            file = RESULTS / f"{piece['piece']}.yaml"
            write_text(file, yaml.safe_dump(piece["config"], sort_keys=False))
            piece["code_key"] = provenance.code_key(file)
        else:
            missing = sorted(set(piece["config"]["runs"]) - equal[scenario])
            print(f"{piece['piece']}: not verified: {', '.join(missing)}", flush=True)
    reference.write(store)


def equal_runs(store: reference.Reference, scenario: str, cores: str) -> set[str]:
    """Return the runs whose first seed scores as stored, of the dataset that has most runs and, of these, the fastest."""
    scores = store.scores[(store.scores["scenario"] == scenario) & (store.scores["seed"] == 0)]
    seconds = scores[scores["metric"] == "fit_seconds"].groupby("dataset")["value"]
    dataset = (
        seconds.agg(["size", "sum"]).sort_values(["size", "sum"], ascending=[False, True]).index[0]
    )
    configs = [one["config"] for one in store.pieces]
    configs = [
        one for one in configs if [*one["datasets"], *one["scenarios"]] == [dataset, scenario]
    ]
    folder = RESULTS / f"verify.{scenario}"
    config = configs[0] | {
        "runs": dict.fromkeys([run for one in configs for run in one["runs"]]),
        "seeds": [0],
        "pathvars": {"results": str(folder), "logs": f"logs/{folder.name}"},
    }
    file = RESULTS / f"{folder.name}.yaml"
    write_text(file, yaml.safe_dump(config, sort_keys=False))
    if not made(file, folder, cores):
        raise UserError(f"logs/{folder.name}: not all runs ended; nothing is verified")
    return same_scores(
        scores[scores["dataset"] == dataset], read_scores(folder / "tables/scores.tsv")
    )


def same_scores(before: pd.DataFrame, after: pd.DataFrame) -> set[str]:
    """Return the runs that have the same scores in both tables, to 1e-6, apart from resources."""
    cards, places = catalog.cards("metrics"), [name for name in SCORE_COLUMNS if name not in VALUES]
    used = [
        table[table["metric"].map(lambda id: cards[id]["group"]) != "resources"]
        for table in (before, after)
    ]
    both = used[0].merge(used[1], on=places, how="outer", suffixes=("", "_now"))
    near = np.isclose(both["value"], both["value_now"], rtol=1e-6, atol=1e-6, equal_nan=True)
    equal = pd.Series(near & (both["status"] == both["status_now"])).groupby(both["run"]).all()
    return set(equal.index[equal])


def store(piece: Piece, left_out: list[dict], folder: Path = reference.FOLDER) -> None:
    """Put a complete piece into the reference results, where it replaces the same runs; then delete its splits and imputed values.

    Raises
    ------
    UserError
        When a split differs from that of another piece.
    """
    before = stored(folder)
    new = collected(piece)
    digests = {(one["dataset"], one["scenario"], one["seed"]): one for one in before.splits}
    for one in new.splits:
        place = (one["dataset"], one["scenario"], one["seed"])
        if digests.setdefault(place, one) != one:
            raise UserError(
                f"{piece.folder}: its split of {place} differs from that of an earlier piece, by other code or"
                f" other versions of packages; delete {folder} and the pieces of that dataset, and run again"
            )
    again = {tuple(record[key] for key in RUN) for record in new.records}
    places = pd.MultiIndex.from_frame(before.scores[RUN].astype(object))
    kept = before.scores[~places.isin(list(again))]
    records = [one for one in before.records if tuple(one[key] for key in RUN) not in again]
    cells = {key: x for key, x in before.cells.items() if key[:3] not in again}
    replaced = (piece.name, f"{piece.name}{AGAIN}")
    pieces = [one for one in before.pieces if one["piece"] not in replaced]
    reference.write(
        reference.Reference(
            scores=joined([kept, new.scores], SCORE_COLUMNS),
            records=records + new.records,
            cells=cells | new.cells,
            splits=list(digests.values()),
            pieces=pieces + new.pieces,
            left_out=left_out,
        ),
        folder,
    )
    shutil.rmtree(piece.folder / "splits")
    for file in piece.folder.rglob("imputed.h5mu"):
        file.unlink()


def collected(piece: Piece) -> reference.Reference:
    """Return the runs of one finished piece; a run that does not apply has no scores."""
    results, bench = layout.Results(piece.folder), recorded.read(piece.folder / "config.json")
    dirt = "-dirty" if only_the_store_changed() else ""
    records, parts, cells, splits = [], [], {}, []
    for place in bench.applicable:
        folder = Path(results.run(*place))
        parts.append(read_scores(folder / "scores.tsv"))
        records += [read_record(folder / f"seed-{seed}/run.json") for seed in bench.seeds]
        for key, values in read_cells(folder / "cells.npz").values.items():
            if key[1] in reference.OF_CELLS and len(bench.seeds) > 1:  # one seed enters no test
                cells[*place, *key] = values
    for dataset, scenario in bench.splits:
        for seed in bench.seeds:
            digest = reference.digest_of_split(Path(results.split(dataset, scenario, seed)))
            split = {"dataset": dataset, "scenario": scenario, "seed": seed, "digest": digest}
            splits.append(split)
    about = {
        "piece": piece.name,
        "commit": provenance.commit_of(piece.folder).replace(dirt, ""),
        "code_key": provenance.code_key(piece.file),
        "budget": bench.config["training"],
        "config": piece.config,
    }
    for record in records:
        record["git_commit"] = record["git_commit"].replace(dirt, "")
    return reference.Reference(joined(parts, SCORE_COLUMNS), records, cells, splits, [about], [])


def only_the_store_changed() -> bool:
    """Say whether the checkout is its commit, apart from the store that earlier pieces wrote."""
    others = ["git", "status", "--porcelain", "--untracked-files=no", "--", "."]
    others.append(f":(exclude){reference.FOLDER.relative_to(REPOSITORY)}")
    return not subprocess.run(others, cwd=REPOSITORY, capture_output=True, check=True).stdout


def planned(found: list[Piece], left_out: list[dict]) -> str:
    """Return a line per piece and per run that is left out."""
    lines = [f"{'piece':48}{'runs':>5}{'seeds':>6}{'CPU hours':>10}{'sum':>8}"]
    total = 0.0
    for piece in found:
        total += piece.hours
        counts = f"{len(piece.config['runs']):5}{len(piece.config['seeds']):6}"
        lines.append(f"{piece.name:48}{counts}{piece.hours:10.2f}{total:8.1f}")
    for row in left_out:
        lines.append("not run: {dataset}, {scenario}: {run}: {hours} hours".format_map(row))
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plan", action="store_true", help="print the pieces; run nothing")
    parser.add_argument("--only", nargs="+", metavar="PIECE", help="or the beginning of its name")
    parser.add_argument("--refit", nargs="+", metavar="RUN", help="in all pieces that have them")
    parser.add_argument("--hours", type=float, default=float("inf"), help="start no piece later")
    parser.add_argument(
        "--verify", action="store_true", help="scores of the present code are equal"
    )
    parser.add_argument("--cores", default="all")
    given = parser.parse_args()
    os.chdir(REPOSITORY)
    found, left_out = pieces(yaml.safe_load(LIST.read_text(encoding="utf-8")))
    if given.only:
        found = [piece for piece in found if piece.name.startswith(tuple(given.only))]
        if not found:
            raise UserError("--only: no piece has such a name; --plan prints all")
    if given.plan:
        print(planned(found, left_out))
        return
    if given.refit:
        refit(given.refit, given.cores)
        return
    if given.verify:
        verify(given.cores)
        return
    started, failed = time.monotonic(), []
    for piece in found:
        if time.monotonic() - started > given.hours * HOUR:
            print(f"{given.hours} hours have passed; the next piece is {piece.name}")
            break
        if not run(piece, left_out, given.cores):
            failed.append(piece.name)
    if failed:
        raise UserError(f"not complete, see logs/reference: {', '.join(failed)}; run it again")


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"reference: {error}")
