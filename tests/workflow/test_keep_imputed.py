"""Imputed values that are not kept: they go once they are scored, and a score that is made again fits its runs again."""

import re

from test_workflow import Benchmark

RUNS = {"pca_joint": {"latent": 2}, "shuffled": {}}
MANY = {"loader": "simulated", "cells": 300, "modalities": ["rna", "adt"], "n_rna": 60, "n_adt": 20}
CONFIG = {
    "datasets": {"many": MANY},
    "scenarios": {"paired": {"kind": "paired"}},
    "runs": RUNS,
    "seeds": [0],
    "metrics": {"groups": ["imputation"]},
    "keep_imputed": False,
}


def jobs_of_scores(benchmark, *words):
    """Have Snakemake score the runs, and return which runs it fits and scores."""
    targets = [f"results/runs/many/paired/{run}/scores.tsv" for run in RUNS]
    said = benchmark.said("--cores", "1", *words, *targets)
    return set(re.findall(r"^ *Job \d+: (Fit|Score) (.+) on many", said, flags=re.MULTILINE))


def test_imputed_values_go_once_they_are_scored_and_another_score_fits_again(tmp_path):
    benchmark, of_runs = Benchmark(tmp_path, CONFIG), tmp_path / "results/runs/many/paired"
    assert jobs_of_scores(benchmark) == {(what, run) for what in ("Fit", "Score") for run in RUNS}
    assert not list(of_runs.glob("*/seed-0/imputed.h5mu"))
    for file in ("latents.h5ad", "train_latents.h5ad", "run.json"):
        assert {path.parts[-3] for path in of_runs.glob(f"*/seed-0/{file}")} == set(RUNS)
    assert jobs_of_scores(benchmark, "--dry-run") == set()
    (of_runs / "pca_joint/scores.tsv").unlink()
    again = {("Fit", "pca_joint"), ("Score", "pca_joint")}
    assert jobs_of_scores(benchmark, "--dry-run") == again
