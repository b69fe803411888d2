"""Does D-MMVAE know which cell types correspond? Fits of one split that differ only in their seed, without and with links.

    snakemake --cores 1 results/splits/bmmc_cite_small/unpaired/seed-0/train.h5mu
    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/exchanges.py results/splits/*/unpaired/seed-0 [--seeds 10]

A row of docs/results/exchanges.tsv is a fit of `dmmvae_encadv` with its defaults. What the fit itself can see: the accuracy of a
fresh probe of the modality, and the explained variance. What only the truth shows: FOSCTTM and `types_matched`, means of both
directions. `links` is the weight of :class:`LinkedDMMVAE`; 0 is the method as published. Rows that the table has are kept.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from mosaicbench.contract import Split
from mosaicbench.files.splits import as_cells, as_split, read_split, said_of_cells
from mosaicbench.files.tables import write_table
from mosaicbench.fitting.record import git_commit
from mosaicbench.methods.dmmvae import EncoderAdversarialDMMVAE
from mosaicbench.metrics.alignment import foscttm
from mosaicbench.metrics.label_transfer import types_matched
from mosaicbench.models.diagonal import Reading
from mosaicbench.models.linked import linked, one_modality_each
from mosaicbench.models.losses import Loss
from mosaicbench.models.minibatch import Minibatch

TABLE = Path(__file__).parents[1] / "docs/results/exchanges.tsv"
KEYS = ["dataset", "links", "seed"]


@dataclass(kw_only=True)
class LinkedDMMVAE(EncoderAdversarialDMMVAE):
    """With one linear head for all modalities, which predicts the linked features from z.

    A cell type that takes another's place then has the wrong linked features.

    Attributes
    ----------
    links
        Weight of half the squared error of all linked features.
    """

    links: float = 0.0

    def build(self, train: Split) -> None:
        """Make the networks, and the head."""
        super().build(train)
        readers = linked(train, train.modalities).readers
        self.linked = {m: (one.columns, torch.tensor(one.signs)) for m, one in readers.items()}
        self.head = nn.Linear(self.latent, len(self.linked[train.modalities[0]][0]))

    def loss(self, x: Minibatch, progress: float) -> Loss:
        """Return dmmvae_encadv's loss, and the error of the linked features."""
        reading = self.read(x)
        bound, feedback = self.bound(x, reading, progress), self.feedback(reading, progress)
        return bound + feedback + self.error_of_links(x, reading)

    def error_of_links(self, x: Minibatch, reading: Reading) -> Loss:
        """Return `links` times half the squared error of the linked features."""
        columns, signs = self.linked[reading.modality]
        error = self.head(reading.z) - x[reading.modality][:, columns] * signs
        return Loss({"links": self.links / 2 * error.square().sum(1)})


def main() -> None:
    """Fit, score, and write the table after each fit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("splits", nargs="+", type=Path, help="folders of unpaired splits")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--links", nargs="+", type=float, default=[0.0, 1.0])
    given = parser.parse_args()
    rows = pd.read_csv(TABLE, sep="\t").to_dict("records") if TABLE.is_file() else []
    for seed, split, weight in product(range(given.seeds), given.splits, given.links):
        key = dict(zip(KEYS, (split.parts[-3], weight, seed), strict=True))
        if not any(key.items() <= row.items() for row in rows):
            rows.append(key | fitted(split, weight, seed) | {"commit": git_commit()})
            write_table(TABLE, pd.DataFrame(rows).sort_values(KEYS).round(4))
            print(rows[-1], flush=True)


def fitted(split: Path, weight: float, seed: int) -> dict[str, float]:
    """Return what one fit sees of itself, and its scores."""
    nouns = ("train", "query", "solution")
    train, query, solution = (read_split(split / f"{noun}.h5mu", noun) for noun in nouns)
    method = LinkedDMMVAE(links=weight) if weight else EncoderAdversarialDMMVAE()
    cells = as_split(train, labels=False, links=True)
    method.fit(cells, seed)
    trial = method.trial(one_modality_each(cells, seed), seed)
    both = solution.mod.keys()
    names = {m: pd.Index(solution[m].obs["query_name"][solution.obs_names]) for m in both}
    latents = {m: method.embed(as_cells(query, [m], names[m])) for m in both}
    labels = said_of_cells(solution, "cell_type")
    pairs = [(latents[a], latents[b]) for a, b in permutations(both, 2)]
    return {
        "probe": trial.probe,
        "explained": trial.explained,
        "foscttm": np.mean([foscttm(*pair) for pair in pairs]),
        "types_matched": np.mean([types_matched(*pair, labels) for pair in pairs]),
    }


if __name__ == "__main__":
    main()
