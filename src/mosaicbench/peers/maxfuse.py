"""MaxFuse: matching of cells by smoothed linked features, then CCA of all features, iterated.

The user installs the package, by its licence (academic, no redistribution). Reference: Chen et al.
2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated

import numpy as np

from mosaicbench.contract import Split
from mosaicbench.errors import NotApplicable
from mosaicbench.models.linked import linked
from mosaicbench.peers._moved import Moved

CARD = {
    "label": "MaxFuse",
    "kind": "baseline",
    "paper": "Chen et al. 2024",
    "doi": "10.1038/s41587-023-01935-0",
    "scenarios": ("unpaired",),
    "inputs": ("links",),
    "wraps": {
        "package": "maxfuse",
        "module": "maxfuse",
        "version": "0.0.2",
        "licence": "academic, non-commercial",
    },
    "summary": "Matching of cells by smoothed linked features, refined by CCA; wraps the package `maxfuse`, which you install "
    "yourself if its licence allows you to. Without it, a dash. Two modalities.",
    "deviates": "MaxFuse embeds only the cells that it was run on, the train cells. Any cell, also a train cell, takes the mean "
    "embedding of the `neighbors` nearest train cells of its modality, by the split's values. Imputes the mean of the nearest "
    "train cells.",
    "space": ("latent", "graph_neighbors", "smoothing", "components", "filtered"),
}

INSTALL = (
    "the package maxfuse is not installed; its licence (academic, non-commercial) does not allow this benchmark to bring it. If "
    "it allows you: pip install maxfuse==0.0.2 into the environment that runs the benchmark"
)


@dataclass(kw_only=True)
class MaxFuse(Moved):
    """The package's steps, with the options of its tutorials.

    Attributes
    ----------
    latent
        Most dimensions of the latent.
    graph_neighbors
        Of the graphs within a modality.
    smoothing
        Weight of a cell against its neighbours' mean.
    components
        Most principal components of all features.
    filtered
        Fraction of the initial pivots that is dropped.
    """

    latent: Annotated[int, "at least 1", {"int": [10, 50], "log": True}] = 20
    graph_neighbors: Annotated[int, "at least 1", {"int": [8, 30], "log": True}] = 15
    smoothing: Annotated[float, "at least 0 and at most 1", {"float": [0.3, 1.0]}] = 0.7
    components: Annotated[int, "at least 1", {"int": [15, 60], "log": True}] = 30
    filtered: Annotated[float, "at least 0 and at most 1", {"float": [0.0, 0.5]}] = 0.3

    def align(self, shown: Split, seed: int) -> None:
        """Run MaxFuse on the train cells; the modality with fewer cells is its first."""
        if find_spec("maxfuse") is None:
            raise NotApplicable(INSTALL)
        if len(shown.modalities) != 2:
            raise NotApplicable(
                f"MaxFuse matches two modalities, this dataset has {len(shown.modalities)}"
            )
        from maxfuse.model import Fusor

        features = linked(shown, shown.modalities)
        cells = {m: shown.observing(m) for m in shown.modalities}
        pair = sorted(cells, key=lambda m: len(cells[m]))
        shared = [features.of(cells[m], m) for m in pair]
        active = [cells[m].values[m] for m in pair]
        of_shared, of_active = self._components(shared), self._components(active)
        fusor = Fusor(
            shared_arr1=shared[0],
            shared_arr2=shared[1],
            active_arr1=active[0],
            active_arr2=active[1],
            method="centroid_shrinkage",
            labels1=None,
            labels2=None,
        )
        fusor.split_into_batches(
            max_outward_size=5000, matching_ratio=3, metacell_size=2, seed=seed
        )
        fusor.construct_graphs(
            n_neighbors1=self.graph_neighbors,
            n_neighbors2=self.graph_neighbors,
            resolution1=2,
            resolution2=2,
            resolution_tol=0.1,
            **of_active,
        )
        weights = {"wt1": self.smoothing, "wt2": self.smoothing}
        fusor.find_initial_pivots(**weights, **of_shared)
        most = min(self.latent, *of_active.values())
        fusor.refine_pivots(**weights, **of_active, cca_components=most, n_iters=3)
        fusor.filter_bad_matches(target="pivot", filter_prop=self.filtered)
        fusor.propagate(**weights, **of_active)
        fusor.filter_bad_matches(target="propagated", filter_prop=0)
        embedded = fusor.get_embedding(*active)
        width = min(self.latent, *(np.shape(z)[1] for z in embedded))
        self.moved = {m: np.asarray(z)[:, :width] for m, z in zip(pair, embedded, strict=True)}
        self.index_places(cells)

    def _components(self, sides: list[np.ndarray]) -> dict[str, int]:
        sizes = [min(self.components, min(x.shape) - 1) for x in sides]
        return {"svd_components1": sizes[0], "svd_components2": sizes[1]}
