"""SCOT: Gromov-Wasserstein transport between the modalities' neighbour graphs, without any pairs.

    T = argmin over couplings of  sum (C_ik - D_jl)^2 T_ij T_kl - epsilon H(T)
    x_i moves to  sum_j T_ij y_j / sum_j T_ij

C and D are lengths of shortest paths over each modality's nearest-neighbour graph. Reference:
Demetci et al. 2022.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.sparse.csgraph import shortest_path
from sklearn.neighbors import kneighbors_graph

from mosaicbench.contract import Split
from mosaicbench.errors import Diverged
from mosaicbench.peers._moved import Moved
from mosaicbench.peers._package import apart, need, pca

CARD = {
    "label": "SCOT",
    "kind": "baseline",
    "paper": "Demetci et al. 2022",
    "doi": "10.1089/cmb.2021.0446",
    "scenarios": ("unpaired",),
    "inputs": (),
    "wraps": {"package": "POT", "module": "ot", "version": "0.9.7", "licence": "MIT"},
    "summary": "Gromov-Wasserstein transport between shortest paths over each modality's neighbour graph, solved by POT. "
    "Each modality moves to the first one's principal components. Imputes the mean of the nearest train cells.",
    "deviates": "The steps of SCOT with the solver of POT, without its search for the best `graph_neighbors` and `epsilon`. "
    "At most `cells` train cells of a modality take part. Any cell, also a train cell, takes the mean place of its `neighbors` "
    "nearest cells that did. If no transport is found, `epsilon` is doubled, as SCOT advises.",
    "space": ("graph_neighbors", "epsilon"),
}

TRIES = 8  # values of epsilon
UNUSED = ("JAX", "TENSORFLOW", "CUPY")  # array libraries that POT would load if it found them


@dataclass(kw_only=True)
class SCOT(Moved):
    """The published defaults.

    Attributes
    ----------
    graph_neighbors
        Of the graphs; at most a fifth of the cells.
    epsilon
        Weight of the entropy, in units of the longest path.
    cells
        Most cells of a modality: time grows with their cube, memory with their square.
    iterations, sinkhorn
        Most steps of the solver, and of the projection within each.
    """

    graph_neighbors: Annotated[int, "at least 1", {"int": [20, 100], "log": True}] = 50
    epsilon: Annotated[float, "above 0", {"float": [0.0005, 0.1], "log": True}] = 1e-3
    cells: Annotated[int, "at least 1"] = 1000
    iterations: Annotated[int, "at least 1"] = 100
    sinkhorn: Annotated[int, "at least 1"] = 1000

    def align(self, shown: Split, seed: int) -> None:
        """Move the drawn train cells of every modality to the first one's principal components."""
        need(CARD)
        cells = self.drawn(shown, self.cells, seed)
        places, lengths, self.remarks = {}, {}, []
        for m, x in cells.items():
            components = pca(x.values[m], self.latent, seed).fit_transform(x.values[m])
            places[m] = components.astype(np.float64)
            lengths[m] = self._paths(places[m])
        first, *others = shown.modalities
        with apart(seed):
            os.environ.update({f"POT_BACKEND_DISABLE_{library}": "1" for library in UNUSED})
            self.moved = {first: places[first]}
            for m in others:
                self.moved[m] = self._transported(lengths, m, first) @ places[first]

    def _paths(self, x: np.ndarray) -> np.ndarray:
        k = max(1, min(self.graph_neighbors, len(x) // 5))
        graph = kneighbors_graph(x, k, mode="connectivity", metric="correlation")
        paths = shortest_path(graph, directed=False, unweighted=True)
        farthest = paths[np.isfinite(paths)].max()
        return np.where(np.isfinite(paths), paths, farthest) / max(farthest, 1)

    def _transported(self, lengths: dict[str, np.ndarray], source: str, target: str) -> np.ndarray:
        """Return the weight of each cell of `target` for each cell of `source`; rows sum to one."""
        from ot.gromov import entropic_gromov_wasserstein

        for doubled in range(TRIES):
            epsilon = self.epsilon * 2**doubled
            plan = entropic_gromov_wasserstein(
                lengths[source],
                lengths[target],
                epsilon=epsilon,
                symmetric=True,
                max_iter=self.iterations,
                numItermax=self.sinkhorn,
            )
            rows = plan.sum(axis=1, keepdims=True)
            if np.isfinite(plan).all() and rows.min() > 0 and abs(rows.sum() - 1) < 1e-2:
                if doubled:
                    self.remarks.append(
                        f"no transport of {source} to {target} below epsilon {epsilon:g}"
                    )
                return plan / rows
        raise Diverged(f"no transport of {source} to {target} at any epsilon up to {epsilon:g}")
