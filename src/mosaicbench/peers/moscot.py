"""moscot: Gromov-Wasserstein transport between modalities, fused with distances of linked features.

    T = argmin over couplings of
        alpha sum (C_ik - D_jl)^2 T_ij T_kl + (1 - alpha) sum M_ij T_ij - epsilon H(T)

C and D are squared distances within each modality, M squared distances of linked features between
both; x_i moves to sum_j T_ij y_j / sum_j T_ij. Reference: Klein et al. 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mosaicbench.contract import Cells, Split
from mosaicbench.errors import Diverged, NotApplicable
from mosaicbench.models.linked import linked
from mosaicbench.peers._moved import Moved
from mosaicbench.peers._package import apart, need, pca

CARD = {
    "label": "moscot",
    "kind": "baseline",
    "paper": "Klein et al. 2025",
    "doi": "10.1038/s41586-024-08453-2",
    "scenarios": ("unpaired",),
    "inputs": ("links",),
    "wraps": {
        "package": "moscot",
        "module": "moscot",
        "version": "0.5.2",
        "licence": "BSD-3-Clause",
    },
    "summary": "The package's translation of modalities: Gromov-Wasserstein transport, fused with the distance of cells in "
    "linked features. Each modality moves to the principal components of the first. Imputes the mean of the nearest train "
    "cells.",
    "deviates": "Cells of both modalities are compared by principal components of the split's linked features; without links, "
    "the transport is not fused. At most `cells` train cells of a modality take part. Any cell, also a train cell, takes the "
    "mean place of its `neighbors` nearest cells that did.",
    "space": ("alpha", "epsilon"),
}


@dataclass(kw_only=True)
class Moscot(Moved):
    """Weights are chosen here: the package's, alpha 1 and epsilon 0.01, ignore the linked features.

    Attributes
    ----------
    alpha
        Weight of the distances within modalities; 1 ignores the linked features.
    epsilon
        Weight of the entropy, in units of the mean distance.
    components
        Most principal components of a modality, and of the linked features.
    cells
        Most cells of a modality: time and memory grow with their square.
    iterations, sinkhorn
        Most steps of the solver, and of the projection within each.
    """

    alpha: Annotated[float, "above 0 and at most 1", {"float": [0.1, 0.9]}] = 0.7
    epsilon: Annotated[float, "above 0", {"float": [0.0005, 0.1], "log": True}] = 5e-3
    components: Annotated[int, "at least 1"] = 50
    cells: Annotated[int, "at least 1"] = 4000
    iterations: Annotated[int, "at least 1"] = 100
    sinkhorn: Annotated[int, "at least 1"] = 2000

    def align(self, shown: Split, seed: int) -> None:
        """Move the drawn train cells of every modality to the first one's principal components."""
        need(CARD)
        drawn = self.drawn(shown, self.cells, seed)
        within = {}
        for m, x in drawn.items():
            components = pca(x.values[m], self.components, seed).fit_transform(x.values[m])
            within[m] = components.astype(np.float64)
        first, *others = shown.modalities
        places = within[first][:, : self.latent]
        self.moved, self.remarks = {first: places}, []
        for m in others:
            between = self._between(shown, drawn, m, first)
            with apart(seed):
                plan = self._plan([within[m], within[first]], between)
            rows = plan.sum(axis=1, keepdims=True)
            if not np.isfinite(plan).all() or rows.min() <= 0:
                raise Diverged(
                    f"no transport of {m} to {first} with epsilon {self.epsilon:g}; try a larger one"
                )
            self.moved[m] = (plan / rows) @ places

    def _between(self, shown: Split, drawn: dict[str, Cells], *pair: str) -> list[np.ndarray]:
        if self.alpha == 1:
            return []
        try:
            features = linked(shown, pair, components=self.components)
        except NotApplicable as error:
            self.remarks.append(f"distances within modalities alone: {error}")
            return []
        return [features.of(drawn[m], m).astype(np.float64) for m in pair]

    def _plan(self, within: list[np.ndarray], between: list[np.ndarray]) -> np.ndarray:
        """Return the coupling of source and target, (cells, cells), NaN without a solution."""
        from anndata import AnnData
        from moscot.problems.cross_modality import TranslationProblem

        # the package wants a feature
        sides = [AnnData(np.zeros((len(x), 1)), obsm={"within": x}) for x in within]
        for side, x in zip(sides, between, strict=False):
            side.obsm["between"] = x
        problem = TranslationProblem(*sides)
        problem = problem.prepare(
            src_attr="within", tgt_attr="within", joint_attr="between" if between else None
        )
        problem = problem.solve(
            alpha=self.alpha if between else 1.0,
            epsilon=self.epsilon,
            max_iterations=self.iterations,
            linear_solver_kwargs={"max_iterations": self.sinkhorn},
        )
        solution = problem.solutions["src", "tgt"]
        if not solution.converged:
            self.remarks.append("the solver stopped before it converged")
        return np.asarray(solution.transport_matrix, dtype=np.float64)
