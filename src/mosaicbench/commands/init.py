"""init: files of cells become a commented config, from what their headers hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import yaml
from anndata import AnnData

from mosaicbench.data.checks import UNKNOWN
from mosaicbench.data.headers import kinds_by_name, of_files
from mosaicbench.data.read import KINDS
from mosaicbench.errors import UserError
from mosaicbench.files.atomic import write_text

LIKELY = {  # key -> words in the names of its columns, likeliest first
    "cell_type": ("cell.?type", "annot", "label", "subset|lineage|ident", "cluster|leiden|louvain"),
    "batch": ("batch", "donor|patient|subject", "sample|orig.?ident", "library|lane|pool|plate"),
}
MOST_VALUES = 200  # of a column of cell types or batches
SHOWN = 5  # values of a column in a comment
TEMPLATE = """\
# What `mosaicbench init` found in {names}: look at every line.
# What is read of it:  mosaicbench check {output}
# How long it takes:   mosaicbench plan {output}
# Run it:              mosaicbench run --configfile {output}
datasets:
  my_cells:
    {stanza}

scenarios: # how pairing is hidden; {shared}
  {kind}: {{kind: {kind}}}
  unpaired: {{kind: unpaired}}

seeds: [0, 1, 2] # splits of the cells; the keys that are left out have their defaults
"""


def main(*, files: list[Path], output: Path) -> None:
    """Write a config for the files of one dataset: one of several modalities, or some per modality.

    An existing `output` is refused, as are fewer than two modalities.
    """
    names = ", ".join(map(str, files))
    if output.exists():
        raise UserError(f"{output}: is there already; name another file: --output FILE.yaml")
    found = of_files(files)
    if len(found) < 2:
        raise UserError(
            f"a benchmark needs two modalities or more, found {', '.join(found) or 'none'} in "
            f"{names}; name the file of another one, too"
        )
    path = _one_file(str(files[0]), found) if len(files) == 1 else _several_files(found)
    tables, of_modality = [], []
    for parts in found.values():
        of_parts = [cells.obs for cells in parts.values()]
        tables += of_parts
        of_modality.append(set().union(*(table.index for table in of_parts)))
    in_any, in_all = set.union(*of_modality), set.intersection(*of_modality)
    text = TEMPLATE.format(
        names=names,
        output=output,
        stanza="\n    ".join([*path, *_columns(tables)]),
        shared=f"{len(in_all):,} of {len(in_any):,} cells are in all modalities",
        kind="paired" if in_all else "as_measured",
    )
    write_text(output, text)
    print(f"{output}: written. Look at it, then: mosaicbench check {output}")


def _sizes(parts: dict[str, AnnData]) -> str:
    return "; ".join(f"{x.n_obs:,} cells, {x.n_vars:,} features" for x in parts.values())


def _several_files(found: dict[str, dict[str, AnnData]]) -> list[str]:
    lines = ["path:"]
    for modality, parts in found.items():
        files = list(parts)
        shown = _yaml(files if len(files) > 1 else files[0])
        lines.append(f"  {modality}: {shown} # {_sizes(parts)}")
    return lines


def _one_file(file: str, found: dict[str, dict[str, AnnData]]) -> list[str]:
    lines = [f"path: {_yaml(file)}"]
    lines += [f"# {name}: {_sizes(parts)}" for name, parts in found.items()]
    every = kinds_by_name(found)
    kinds = {name: kind for name, kind in every.items() if name.lower() not in KINDS}
    if kinds and all(kinds.values()):
        lines.append(f"kinds: {_yaml(kinds)} # correct what is wrong")
    elif kinds:
        chosen = {kind: name for name, kind in every.items() if kind}
        lines.append(f"modalities: {_yaml(chosen)} # others are not read; correct what is wrong")
    return lines


def _columns(tables: Iterable[pd.DataFrame]) -> list[str]:
    columns = {}  # name -> values, the most frequent first
    for table in tables:
        for name in table.columns:
            columns.setdefault(str(name), list(map(str, table[name].value_counts().index)))
    possible = [name for name, values in columns.items() if 2 <= len(values) <= MOST_VALUES]
    lines = []
    for key, words in LIKELY.items():
        likely = []
        for word in words:
            likely += [name for name in possible if re.search(word, name, re.IGNORECASE)]
        if not likely:
            there = ", ".join(columns) or "none"
            lines.append(
                f"# {key}: COLUMN # no column of several values is called like one: {there}"
            )
            continue
        name, *others = dict.fromkeys(likely)
        possible.remove(name)
        values = columns[name]
        about = f"{len(values)} values: {', '.join(values[:SHOWN])}"
        about += f"; or: {', '.join(others)}" if others else ""
        lines.append(f"{key}: {_yaml(name)} # {about}")
        unknown = [value for value in values if UNKNOWN.fullmatch(value)]
        if key == "cell_type" and unknown:
            lines.append(f"unknown_labels: {_yaml(unknown)} # these mean no label")
    return lines


def _yaml(value: object) -> str:
    return yaml.safe_dump([value], default_flow_style=True, width=10_000, sort_keys=False)[1:-2]
