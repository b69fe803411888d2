"""A small real dataset and its splits, for tests of the commands."""

from mosaicbench.commands import prepare
from mosaicbench.data import links
from mosaicbench.data.split import make_split
from mosaicbench.datasets import pbmc68k_split
from mosaicbench.files.dataset import read_dataset
from mosaicbench.files.splits import write_split


def prepared(folder, loader, options, *, name="d", raw=None):
    """Return the dataset that `prepare` writes as a file of this name into `folder`."""
    file = folder / f"{name}.h5mu"
    prepare.main(dataset=name, loader=loader, options=options, raw=raw, output=file)
    return read_dataset(file)


def small_dataset():
    """Return 240 cells of the embedded data."""
    return pbmc68k_split.load(None)[:240].copy()


def cut_small(dataset, kind, folder, seed=0, **options):
    """Cut a split of the small dataset into `folder`."""
    folder.mkdir(exist_ok=True)
    for part, split in make_split(
        dataset, dataset_name="small", scenario=kind, kind=kind, seed=seed, **options
    ).items():
        write_split(folder / f"{part}.h5mu", split)
    return folder


def cut(dataset, kind="paired", seed=0, **options):
    """Return a split of any dataset, called d/s."""
    return make_split(dataset, dataset_name="d", scenario="s", kind=kind, seed=seed, **options)


def linked(dataset, table):
    """Return a dataset in which the features of its first two modalities are linked one by one, by a table that is written."""
    (first, cells), (second, others), *_ = dataset.mod.items()
    lines = [f"{a}\t{b}\t1" for a, b in zip(cells.var_names, others.var_names, strict=False)]
    table.write_text("\n".join([f"{first}\t{second}\tsign", *lines]) + "\n")
    return links.linked(dataset, table=table)
