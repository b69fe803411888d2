"""cut: a dataset becomes one view: what a method may see, and the solution."""

from __future__ import annotations

from pathlib import Path

from mosaicbench.data import scenarios
from mosaicbench.files._h5 import KEY
from mosaicbench.files.dataset import read_dataset
from mosaicbench.files.tables import write_audit
from mosaicbench.files.views import write_view


def main(
    *, dataset: Path, scenario: str, kind: str, seed: int, options: dict, train: Path, query: Path, solution: Path
) -> None:
    """Read a dataset, cut it, and write the three parts of the view, and beside them ``audit.tsv``.

    Parameters
    ----------
    dataset
        The dataset's file.
    scenario, kind, seed
        Name and kind of the scenario; the seed that draws the division.
    options
        Further keywords of ``scenarios.cut`` (query_fraction, split, preprocess) and of the kind of scenario.
    train, query, solution
        The files to write; ``audit.tsv`` goes to the folder of the first: which cells each transform, choice of features and
        label comes from.
    """
    whole = read_dataset(dataset)
    name = str(whole.uns[KEY]["dataset"])
    parts = scenarios.cut(whole, dataset_name=name, scenario=scenario, kind=kind, seed=seed, **options)
    del whole
    for noun, path in (("train", train), ("query", query), ("solution", solution)):
        write_view(path, parts[noun])
    write_audit(train.with_name("audit.tsv"), parts["solution"].uns["audit"])
