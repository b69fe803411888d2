"""A small real dataset and its views, for tests of the commands."""

from pathlib import Path

from mosaicbench.data import scenarios
from mosaicbench.datasets import pbmc68k_split
from mosaicbench.files.views import write_view


def small_dataset():
    """Return 240 cells of the embedded data."""
    return pbmc68k_split.load(None)[:240].copy()


def cut_small(dataset, kind: str, folder: Path, seed: int = 0) -> Path:
    """Cut a view of the small dataset into `folder`."""
    folder.mkdir(exist_ok=True)
    for part, view in scenarios.cut(dataset, dataset_name="small", scenario=kind, kind=kind, seed=seed).items():
        write_view(folder / f"{part}.h5mu", view)
    return folder
