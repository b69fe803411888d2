"""MOFA+: sparse factor analysis of several modalities, by variational Bayes.

    x_m = W_m z + e_m,   z ~ N(0, I),   W_m ~ spike and slab with a precision per modality and factor,   e_m ~ N(0, 1 / tau_m)

A new cell's factors are the means of the same variational posterior, given the learnt weights and precisions and whatever was
measured; they solve a small linear system. Reference: Argelaguet et al. 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mosaicbench.contract import Cells, Split
from mosaicbench.peers._package import apart, need

CARD = {
    "label": "MOFA+",
    "kind": "baseline",
    "paper": "Argelaguet et al. 2020",
    "doi": "10.1186/s13059-020-02015-1",
    "scenarios": ("paired", "mosaic"),
    "inputs": ("pairs",),
    "wraps": {"package": "mofapy2", "module": "mofapy2", "version": "0.7.5", "licence": "LGPL-3.0"},
    "summary": "Sparse factor analysis of the standardised modalities, by mofapy2; imputes factors times weights.",
    "deviates": "The package embeds the cells that it was run on. A new cell's factors solve the package's own update of the "
    "factors, with weights and precisions held, from any subset of modalities; so are those of train cells. ATAC is its LSI. "
    "In a mosaic, what was not measured is missing.",
    "space": {
        "factors": {"int": [5, 40], "log": True},
        "convergence": {"choice": ["fast", "medium", "slow"]},
    },
}


@dataclass(kw_only=True)
class MOFA:
    """The package's defaults.

    Attributes
    ----------
    factors
        Number of factors at the start; the package drops none.
    iterations
        Most iterations; it stops earlier where the ELBO has converged.
    convergence
        "fast", "medium" or "slow": the ELBO changes by less than 5e-4, 5e-5 or 5e-6 % of its first change.
    """

    factors: Annotated[int, "at least 1"] = 10
    iterations: Annotated[int, "at least 1"] = 1000
    convergence: str = "fast"

    def fit(self, train: Split, seed: int) -> list[dict[str, float]]:
        """Fit on all train cells; what a cell does not show is missing."""
        need(CARD["wraps"])
        values = _with_gaps(train)
        cells = sum(map(len, train.blocks))
        with apart(seed):
            from mofapy2.run.entry_point import entry_point

            run = entry_point()
            run.set_data_options()
            run.set_data_matrix(
                [[values[m]] for m in train.modalities],
                views_names=list(train.modalities),
                samples_names=[[f"cell {i}" for i in range(cells)]],
                features_names=[
                    [f"{m} {j}" for j in range(width)] for m, width in train.features.items()
                ],
            )
            run.set_model_options(factors=min(self.factors, cells - 1))
            run.set_train_options(
                iter=self.iterations, convergence_mode=self.convergence, quiet=True, seed=seed
            )
            run.build()
            run.run()
            weights, noise = (run.model.getNodes()[node].getExpectations() for node in ("W", "Tau"))
            elbo = np.asarray(run.model.getTrainingStats()["elbo"], dtype=np.float64)
        self.mean = {m: np.nanmean(x, axis=0) for m, x in values.items()}
        self.weights = {
            m: np.asarray(w["E"]) for m, w in zip(train.modalities, weights, strict=True)
        }  # (features, factors)
        precision = {
            m: np.asarray(tau["E"])[0] for m, tau in zip(train.modalities, noise, strict=True)
        }  # (features,)
        self.weighted = {m: w * precision[m][:, None] for m, w in self.weights.items()}
        self.information = {}  # (factors, factors): what a modality adds to the posterior's precision
        for m, w in zip(train.modalities, weights, strict=True):
            self.information[m] = self.weighted[m].T @ self.weights[m]
            np.fill_diagonal(self.information[m], precision[m] @ np.asarray(w["E2"]))
        measured = np.flatnonzero(np.isfinite(elbo))
        return [{"epoch": int(i) + 1, "loss": float(-elbo[i] / cells)} for i in measured]

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the factors' posterior means given what was measured, (cells, factors)."""
        pulls = sum(
            (x - self.mean[m]) @ self.weighted[m] for m, x in cells.values.items()
        )  # (cells, factors)
        precision = sum(self.information[m] for m in cells.modalities)
        return np.linalg.solve(precision + np.eye(len(precision)), pulls.T).T

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return factors times weights, (cells, features), standardised."""
        return self.embed(cells) @ self.weights[target].T + self.mean[target]


def _with_gaps(train: Split) -> dict[str, np.ndarray]:
    """Return the values of every train cell, (cells, features) in each modality; rows that were not measured are NaN."""

    def rows(block: Cells, modality: str, width: int) -> np.ndarray:
        measured = modality in block.values
        return (
            block.values[modality].astype(np.float64)
            if measured
            else np.full((len(block), width), np.nan)
        )

    return {
        m: np.concatenate([rows(block, m, width) for block in train.blocks])
        for m, width in train.features.items()
    }
