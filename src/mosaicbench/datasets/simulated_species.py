"""Two species whose cells are simulated: RNA of two sets of genes, some one-to-one orthologues.

    log r_gj = base_gj + s . A_gj + w_g . B_gj,     A of an orthologue = c A_0 + sqrt(1 - c^2) A_g

for gene j of species g. A cell's shared factors s are drawn around the centre of its type, w_g
belong to one species, and c says how alike orthologues are regulated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from mudata import MuData

from mosaicbench.data.assemble import Measurement, assembled
from mosaicbench.datasets.simulated import (
    loadings,
    normalised,
    overdispersed,
    typed_factors,
)

CARD = {
    "label": "Simulated species",
    "summary": "all is simulated: two species' RNA of the same cells, with one-to-one orthologues and genes of their own",
    "labels": "simulated: the type whose centre the cell's shared factors were drawn around; no species has an advantage",
    "licence": "none needed: drawn from a random number generator",
    "citation": "none: simulated by this package; real cells of two species: CELLxGENE census",
    "simulated": True,
}

SPECIES = ("human", "mouse")


def load(
    raw: Path | None,
    *,
    cells: Annotated[int, "at least 10"] = 1000,
    orthologues: Annotated[int, "at least 1"] = 300,
    own_genes: Annotated[int, "at least 0"] = 300,
    conserved: Annotated[float, "at least 0 and at most 1"] = 0.9,
    cell_types: Annotated[int, "at least 1"] = 6,
    seed: Annotated[int, "at least 0"] = 0,
) -> MuData:
    """Return counts of modalities ``human`` and ``mouse``.

    Parameters
    ----------
    raw
        Not used: nothing is read.
    cells, cell_types
        Their numbers; types are of unequal size.
    orthologues, own_genes
        Numbers of genes that both species have, which differ in name by the species alone, and that
        only one has.
    conserved
        The c above, between 0 and 1.
    seed
        Draws everything.

    Returns
    -------
    MuData
        ``obsm["shared_factors"]`` (cells, 6).
    """
    random, shared, private = np.random.default_rng(seed), 6, 3
    types, s = typed_factors(cells, cell_types, shared, random)
    common, base = loadings(shared, orthologues, random), 1.5 * random.standard_normal(orthologues)
    measured = {}
    for species in SPECIES:
        other = loadings(shared, orthologues, random)
        alike = conserved * common + np.sqrt(1 - conserved**2) * other
        effects = np.concatenate([alike, loadings(shared, own_genes, random)], 1)
        w = random.standard_normal((cells, private))
        own = w @ loadings(private, orthologues + own_genes, random)
        bases = np.concatenate([base, 1.5 * random.standard_normal(own_genes)])
        rate = bases + s @ effects + own  # (cells, genes)
        library = 0.5 * rate.shape[1] * np.exp(0.4 * random.standard_normal((cells, 1)))
        names = [f"{species}-orthologue-{j:04d}" for j in range(orthologues)]
        names += [f"{species}-own-{j:04d}" for j in range(own_genes)]
        counts = random.poisson(overdispersed("rna", library * normalised(rate), random))
        measured[species] = Measurement(counts, names, "rna")
    dataset = assembled(
        measured,
        cells=[f"cell-{cell:06d}" for cell in range(cells)],
        cell_type=[f"type-{label:02d}" for label in types],
    )
    dataset.obsm["shared_factors"] = s.astype(np.float32)
    return dataset
