"""MOFA+: sparse factor analysis of several modalities, by variational Bayes.

    x_m = W_m z + e_m,   z ~ N(0, I),   e_m ~ N(0, 1 / tau_m)
    W_m ~ spike and slab with a precision per modality and factor

A new cell's factors are the means of the same variational posterior, with the learnt weights and
precisions. Reference: Argelaguet et al. 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mosaicbench.contract import Cells, History, Split
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
    "deviates": "The package embeds only the cells that it was run on. Factors of any cell, also of a train cell, solve the "
    "package's update of the factors, with weights and precisions held, from any subset of modalities. ATAC is its LSI. In a "
    "mosaic, values that were not measured are missing.",
    "space": ("factors", "convergence"),
}


@dataclass(kw_only=True)
class MOFA:
    """The package's defaults.

    Attributes
    ----------
    factors
        Number of factors at the start; the package drops none.
    iterations
        Most iterations; it stops earlier if the ELBO converges.
    convergence
        "fast", "medium" or "slow": the ELBO changes by less than 5e-4, 5e-5 or 5e-6 % of its first
        change.
    """

    factors: Annotated[int, "at least 1", {"int": [5, 40], "log": True}] = 10
    iterations: Annotated[int, "at least 1"] = 1000
    convergence: Annotated[str, {"choice": ["fast", "medium", "slow"]}] = "fast"

    def fit(self, train: Split, seed: int) -> History:
        """Fit on all train cells; values that were not measured are missing."""
        need(CARD)
        values, cells = {}, sum(map(len, train.blocks))
        for m, width in train.features.items():
            parts = [
                block.values.get(m, np.full((len(block), width), np.nan)) for block in train.blocks
            ]
            values[m] = np.concatenate(parts, dtype=np.float64)
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
        self.weights, self.weighted = {}, {}  # (features, factors)
        self.information = {}  # (factors, factors): a modality's part of the posterior precision
        for m, w, tau in zip(train.modalities, weights, noise, strict=True):
            precision = np.asarray(tau["E"])[0]  # (features,)
            self.weights[m] = np.asarray(w["E"])
            self.weighted[m] = self.weights[m] * precision[:, None]
            self.information[m] = self.weighted[m].T @ self.weights[m]
            np.fill_diagonal(self.information[m], precision @ np.asarray(w["E2"]))
        measured = np.flatnonzero(np.isfinite(elbo))
        return [{"epoch": int(i) + 1, "loss": float(-elbo[i] / cells)} for i in measured]

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the factors' posterior means given the observed modalities, (cells, factors)."""
        linear = sum((x - self.mean[m]) @ self.weighted[m] for m, x in cells.values.items())
        precision = sum(self.information[m] for m in cells.modalities)
        return np.linalg.solve(precision + np.eye(len(precision)), linear.T).T

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return factors times weights, (cells, features), standardised."""
        return self.embed(cells) @ self.weights[target].T + self.mean[target]
