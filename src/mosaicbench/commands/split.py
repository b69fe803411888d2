"""split: a dataset becomes train and query for methods, and the solution for scorers."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.data.split import make_split
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import read_dataset
from mosaicbench.files.splits import write_split
from mosaicbench.files.tables import write_table


def main(
    *,
    dataset: Path,
    scenario: str,
    kind: str,
    seeds: list[int],
    options: dict,
    outputs: list[Path],
) -> None:
    """Split a dataset with each seed, and write the three parts and ``audit.tsv``.

    ``audit.tsv``, beside train, names the cells from which each transform, choice of features and label
    comes. `options` are further keywords of ``data.split.make_split``; `outputs` are folders.
    """
    whole = read_dataset(dataset)
    name = str(whole.uns[KEY]["dataset"])
    for seed, output in zip(seeds, outputs, strict=True):
        parts = make_split(
            whole, dataset_name=name, scenario=scenario, kind=kind, seed=seed, **options
        )
        if seed == seeds[-1]:
            del whole
        for noun, part in parts.items():
            write_split(output / f"{noun}.h5mu", part)
        write_table(output / "audit.tsv", parts["solution"].uns["audit"])
