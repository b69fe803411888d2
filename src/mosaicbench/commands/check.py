"""check: read the datasets of a config, and say what was read and what is wrong, without fitting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mosaicbench.commands.prepare import described, prepared
from mosaicbench.config import jobs, settings
from mosaicbench.data.split import divided
from mosaicbench.errors import UserError
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import check_dataset
from mosaicbench.files.datasheet import DATASHEET, FEWEST_QUERY, has_no_pairs
from mosaicbench.workflow.layout import Results

AFTER = ("preprocess", "corrupted_links")  # options of a scenario for what comes after the division


def main(*, config: Path) -> None:
    """Print the datasheet of every dataset, the sizes of its splits, and all warnings.

    Nothing is written or fetched. The error names, after all datasets, every reason why one cannot be
    used.
    """
    bench = settings.read(config)
    refused, warned, without_pairs = [], [], []
    for dataset, settled in bench.datasets.items():
        if absent := [file for file in settled["inputs"] if not Path(file).exists()]:
            remedy = f"mosaicbench fetch {settled['entry']}"
            print(f"{dataset}: not read, as {absent[0]} is not here; bring it: {remedy}")
            continue
        job = jobs.prepare(bench, Results(bench.results), dataset=dataset)
        output = job.pop("output")
        try:
            ready = prepared(**job)
            check_dataset(output, ready)
        except UserError as error:
            refused.append(f"{dataset}: {error}")
            continue
        print(*described(ready), sep="\n")
        warned += json.loads(ready.uns[KEY]["warnings"])
        without_pairs += [dataset] * has_no_pairs(json.loads(ready.uns[KEY][DATASHEET]))
        for name, scenario in bench.splits:
            if name == dataset:
                refused += _split(bench, ready, dataset, scenario)
    of_runs = jobs.in_lines(jobs.cannot_learn(bench, without_pairs))
    for line in of_runs:
        print(line)
    if refused:
        raise UserError("\n".join(["this must be mended:", *refused]))
    number = len(warned) + len(of_runs)
    print(f"Nothing is refused; warnings: {number}. Run it: mosaicbench run --configfile {config}")


def _split(bench: settings.Settings, ready: object, dataset: str, scenario: str) -> Iterator[str]:
    job = jobs.split(bench, Results(bench.results), split=(dataset, scenario))
    seed, options = job["seeds"][0], job["options"]
    options = {key: value for key, value in options.items() if key not in AFTER}
    try:
        _, division, _, _ = divided(
            ready,
            np.random.default_rng(seed),
            dataset_name=dataset,
            scenario=scenario,
            kind=job["kind"],
            seed=seed,
            **options,
        )
    except UserError as error:
        yield f"{dataset}, scenario {scenario}: {error}"
        return
    train, query = len(division.train), len(division.query)
    few = f"; fewer than {FEWEST_QUERY}, so its scores are mostly noise" * (query < FEWEST_QUERY)
    print(f"{dataset}: scenario {scenario}: {train:,} train cells, {query:,} query cells{few}")
