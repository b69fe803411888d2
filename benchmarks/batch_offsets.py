"""What does a method's imputation lack that knows no batches? The mean residual of each batch is added to what it imputes.

    snakemake --cores 1 results/splits/bmmc_cite_small/paired/seed-0/train.h5mu
    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/batch_offsets.py results/splits/*/paired/seed-* [--methods ridge mmaavi]

A row of docs/results/batch_offsets.tsv is a fit and a direction: the scores of its imputation, and of the same with offsets. A batch's
offset is the mean residual of its train cells, shrunk by n / (n + 20); that of a batch without train cells is 0. mmaavi, which
decodes with batches, is the control: it should gain nothing. contrastive_vae is fitted without its own offsets. Rows that the table
has are kept.
"""

from __future__ import annotations

import argparse
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.contract import Cells
from mosaicbench.files.splits import (
    as_cells,
    as_split,
    read_split,
    space_values,
    unstandardised_values,
)
from mosaicbench.files.tables import write_table
from mosaicbench.fitting.record import git_commit
from mosaicbench.metrics.imputation import imputation_pearson_per_feature, imputation_skill

TABLE = Path(__file__).parents[1] / "docs/results/batch_offsets.tsv"
METHODS = ["ridge", "vae_mlp", "mmvae", "contrastive_vae"]
KEYS = ["dataset", "method", "seed"]
WITHOUT_OFFSETS = {"contrastive_vae": {"batch_offsets": False}}
SHRINKAGE = 20  # cells: a batch of so many has half of its mean residual


def main() -> None:
    """Fit, score, and write the table after each fit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("splits", nargs="+", type=Path, help="folders of paired splits")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    given = parser.parse_args()
    rows = pd.read_csv(TABLE, sep="\t").to_dict("records") if TABLE.is_file() else []
    for split, method in product(given.splits, given.methods):
        seed = int(split.name.removeprefix("seed-"))
        key = dict(zip(KEYS, (split.parts[-3], method, seed), strict=True))
        if not any(key.items() <= row.items() for row in rows):
            rows += [key | row | {"commit": git_commit()} for row in scored(split, method, seed)]
            write_table(TABLE, pd.DataFrame(rows).sort_values([*KEYS, "direction"]).round(4))
            print(rows[-1], flush=True)


def scored(split: Path, name: str, seed: int) -> list[dict[str, object]]:
    """Return the scores of both directions of a fit, without and with offsets."""
    train, query, solution = (
        read_split(split / f"{noun}.h5mu", noun) for noun in ("train", "query", "solution")
    )
    method, cells = (
        catalog.method_class(name)(**WITHOUT_OFFSETS.get(name, {})),
        as_split(train, labels=False, links=True),
    )
    method.fit(cells, seed)
    paired, rows = cells.observing(*cells.modalities), []
    for source, target in permutations(cells.modalities, 2):
        truth = solution[target]
        shown = as_cells(query, [source], pd.Index(truth.obs["query_name"]), counts=True)
        imputed = method.impute(shown, target)
        residual = paired.values[target] - method.impute(paired.only(source), target)
        known = space_values(truth), truth.uns["mean"], truth.uns["std"]
        row = {"direction": f"{source}->{target}", "batches": len(set(paired.batches))}
        for suffix, x in (("", imputed), ("_offset", imputed + offsets(paired, residual, shown))):
            values = unstandardised_values(query[target], x)
            row[f"skill{suffix}"] = imputation_skill(known[0], values, *known[1:])
            row[f"pearson{suffix}"] = imputation_pearson_per_feature(known[0], values)
        rows.append(row)
    return rows


def offsets(train: Cells, residual: np.ndarray, query: Cells) -> np.ndarray:
    """Return the shrunk mean residual of each query cell's batch, (query cells, features)."""
    found = np.zeros((len(query.batches), residual.shape[1]), dtype=np.float32)
    for batch in set(train.batches):
        of_batch = residual[train.batches == batch]
        shrunk = of_batch.sum(0) / (len(of_batch) + SHRINKAGE)
        found[query.batches == batch] = shrunk
    return found


if __name__ == "__main__":
    main()
