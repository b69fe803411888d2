"""The genes of an antibody's target, by any of the names that vendors and pipelines give it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pandas as pd

TARGETS = Path(__file__).with_name("antibody_targets.tsv")
ISOTYPE = re.compile(
    r"isotype|control|^(mouse|rat|rag|hamster|armenianhamster|ms)?igg[0-9][a-c]?[0-9]?(k|kappa|lambda)?(ctrl|iso)?$"
)
CLONE = re.compile(
    r"(?i)(?P<target>CD\d+[a-z]*)[-_.][1-9]"
)  # "CD3-1" is a clone against CD3, not CD31; "PD-1" is a target
VENDOR = re.compile(
    r"(?i)[\s._-]*(totalseq\s*-?\s*[abc]|prot(ein)?|adt|antihuman(mouse)?|recombinant|[acgt]{12,})$"
    r"|^(prot|adt)[_:-]+"
)


def target_genes(protein: str) -> tuple[str, ...]:
    """Return the genes of an antibody's target, () where unknown; vendor and clone are ignored."""
    table, name = _targets(), bare(protein)
    clone = CLONE.fullmatch(name)
    for called in (clone["target"] if clone else name, re.sub(r"\s*[(\[].*$", "", name)):
        if (key := _key(called)) in table:
            return table[key]
    return ()


def is_isotype(protein: str) -> bool:
    """Return whether an antibody is an isotype control, which has no target."""
    key = _key(bare(protein))
    return key not in _targets() and bool(ISOTYPE.search(key))


@cache
def _targets() -> dict[str, tuple[str, ...]]:
    table = pd.read_csv(TARGETS, sep="\t", dtype=str, keep_default_na=False, comment="#")
    genes_of = {}
    for target, aliases, genes in table[["target", "aliases", "genes"]].itertuples(index=False):
        for name in (target, *filter(None, aliases.split("|"))):
            genes_of[_key(name)] = tuple(genes.split())
    return genes_of


def bare(protein: str) -> str:
    """Return an antibody's name without the endings of vendors and pipelines."""
    name, shorter = str(protein).strip(), ""
    while name != shorter:
        shorter, name = name, VENDOR.sub("", name)
    return name


def _key(name: str) -> str:
    greek = {"α": "a", "β": "b", "γ": "g", "δ": "d", "ε": "e", "κ": "k", "λ": "l"}
    return re.sub(r"[^a-z0-9]", "", "".join(greek.get(letter, letter) for letter in name.lower()))
