"""Baselines on linked features: no pair is used; the nearest train cells impute a modality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from mosaicbench.contract import Cells, History, Split
from mosaicbench.methods._weak_pairs import mutual_neighbors
from mosaicbench.models.linked import chain, linked, one_modality_each

CARDS = {
    "linked_cca": {
        "label": "CCA on links",
        "kind": "baseline",
        "paper": "Stuart et al. 2019",
        "doi": "10.1016/j.cell.2019.05.031",
        "scenarios": ("unpaired",),
        "inputs": ("links",),
        "tested_for": ("aligns", "imputes", "reconstructs"),
        "summary": "Singular vectors of the product of two modalities' standardised linked features, cells x cells, without pairs; "
        "imputes the mean of the nearest train cells.",
        "deviates": "New cells are projected by the train cells' loadings. Latents have length 1, as Seurat's; there is no step "
        "with anchors after it. Of three modalities, the one that is linked with the others is held against both at once, on the "
        "columns that all have.",
        "space": ("latent", "neighbors"),
    },
    "linked_harmony": {
        "like": "linked_cca",
        "label": "Harmony on links",
        "paper": "Korsunsky et al. 2019",
        "doi": "10.1038/s41592-019-0619-0",
        "wraps": {
            "package": "harmonypy",
            "module": "harmonypy",
            "version": "2.1.0",
            "licence": "GPL-3.0",
        },
        "summary": "Harmony (harmonypy) on linked features, the modality being the batch; imputes the mean of the nearest train "
        "cells.",
        "deviates": "Harmony corrects only the cells that it was run on: the train cells. A cell, also a train cell, is moved by "
        "the mean correction of the `neighbors` nearest train cells of its modality, so a query cell needs no other query cell. "
        "Of three modalities, the linked features that all have are used.",
    },
    "linked_mnn": {
        "like": "linked_cca",
        "label": "Anchors on links",
        "paper": "Haghverdi et al. 2018",
        "doi": "10.1038/nbt.4091",
        "summary": "Mutual nearest neighbours on linked features, and nothing else: cells take the mean place of their anchors "
        "among the reference's principal components; imputes the mean of the nearest train cells.",
        "deviates": "The reference is the first modality of the dataset, of three the one that is linked with the others. No "
        "correction vectors, since modalities have no common space to correct in: a cell takes the mean over the `neighbors` "
        "anchored train cells that are nearest in its own modality's principal components.",
        "space": ("latent", "neighbors", "anchors", "anchor_components"),
    },
}


def nearest(x: np.ndarray, neighbors: int) -> NearestNeighbors:
    """Return an index of the rows of `x` by Euclidean distance."""
    return NearestNeighbors(n_neighbors=min(neighbors, len(x)), algorithm="brute").fit(x)


def mean_of_nearest(index: NearestNeighbors, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of `values` of indexed rows over the neighbours of each row of `x`."""
    return index.kneighbors_graph(x) @ values / index.n_neighbors


@dataclass(kw_only=True)
class LinksBaseline:
    """A latent from linked features: `align` of a subclass learns it, `embed` returns it.

    Attributes
    ----------
    latent
        Most dimensions of the latent.
    neighbors
        Train cells of the target whose mean is imputed.
    """

    latent: Annotated[int, "at least 1", {"int": [5, 50], "log": True}] = 20
    neighbors: Annotated[int, "at least 1", {"int": [5, 50], "log": True}] = 20

    def align(self, shown: Split, seed: int) -> None:
        """Learn the latent from train cells of one modality each."""
        raise NotImplementedError

    def embed(self, cells: Cells) -> np.ndarray:
        """Return the latents of cells of one modality, (cells, latent)."""
        raise NotImplementedError

    def fit(self, train: Split, seed: int) -> History:
        """Align the modalities, and index the train cells of each."""
        shown = one_modality_each(train, seed)
        self.align(shown, seed)
        self.values, self.index = {}, {}
        for modality in train.modalities:
            cells = shown.observing(modality)
            self.values[modality] = cells.values[modality]
            self.index[modality] = nearest(self.embed(cells), self.neighbors)
        return []

    def impute(self, cells: Cells, target: str) -> np.ndarray:
        """Return the mean of the target over the nearest train cells that have it."""
        return mean_of_nearest(self.index[target], self.embed(cells), self.values[target])


@dataclass(kw_only=True)
class LinksCCA(LinksBaseline):
    """CCA of cells on linked features: where one modality's cells are like the other's.

        A B' = U S V',     A (cells of a, columns), B (cells of b, columns), standardised

    Rows of U and V, scaled to length 1, are cells' latents. The decomposition diagonalises the
    similarity of every cell of a to every cell of b. Reference: Stuart et al. 2019, the anchors of
    Seurat.
    """

    def align(self, shown: Split, seed: int) -> None:
        """Decompose the second modality of the chain against all others."""
        self.linked = linked(shown, shown.modalities)
        first, centre, *rest = chain(shown)
        a = np.concatenate([self.linked.of(shown.observing(m), m) for m in (first, *rest)])
        b = self.linked.of(shown.observing(centre), centre)
        # A = Q R, so A B' has the singular values of R_a R_b'.
        a_triangle, b_triangle = np.linalg.qr(a, mode="r"), np.linalg.qr(b, mode="r")
        u, singular, v = np.linalg.svd(a_triangle @ b_triangle.T, full_matrices=False)
        kept = np.flatnonzero(singular[: self.latent] > 1e-6 * singular[0])
        u, v, singular = u[:, kept], v[kept].T, singular[kept]
        loadings = b_triangle.T @ v / singular  # U = A B' V / S
        self.loadings = dict.fromkeys((first, *rest), loadings)
        self.loadings[centre] = a_triangle.T @ u / singular

    def embed(self, cells: Cells) -> np.ndarray:
        """Return singular vectors of length 1, (cells, latent)."""
        (modality,) = cells.modalities
        z = self.linked.of(cells, modality) @ self.loadings[modality]
        return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)


@dataclass(kw_only=True)
class LinksHarmony(LinksBaseline):
    """Harmony on linked features: the modality is a batch effect of one table of all cells.

    Principal components of all modalities' linked features together, corrected until soft clusters
    hold every modality. Reference: Korsunsky et al. 2019.
    """

    def align(self, shown: Split, seed: int) -> None:
        """Run Harmony on the train cells and keep how each was moved."""
        from harmonypy import run_harmony

        self.linked = linked(shown, shown.modalities, components=self.latent)
        before = {m: self.linked.of(shown.observing(m), m) for m in shown.modalities}
        stacked = np.concatenate(list(before.values())).astype(np.float64)
        modality = np.repeat(list(before), [len(x) for x in before.values()])
        after = run_harmony(
            stacked,
            {"modality": modality},
            "modality",
            nclust=int(np.clip(round(len(stacked) / 30), 2, 100)),  # Harmony's rule, at least two
            random_state=seed,
            verbose=False,
            ncores=1,
        ).Z_corr
        moved = np.asarray(after if len(after) == len(stacked) else after.T) - stacked
        self.moved = {m: moved[modality == m] for m in before}
        self.before = {m: nearest(x, self.neighbors) for m, x in before.items()}

    def embed(self, cells: Cells) -> np.ndarray:
        """Return corrected principal components, (cells, latent)."""
        (modality,) = cells.modalities
        x = self.linked.of(cells, modality)
        return x + mean_of_nearest(self.before[modality], x, self.moved[modality])


@dataclass(kw_only=True)
class LinksMNN(LinksBaseline):
    """Anchors alone: a cell takes the mean place of its neighbours' anchors in the reference.

    Latents are principal components of the reference modality. Anchors are mutual nearest
    neighbours, by cosine, on linked features of all train cells. Reference: Haghverdi et al. 2018.

    Attributes
    ----------
    anchors
        How many of the other modality's cells count as near.
    anchor_components
        More linked features than this are projected on so many joint principal components.
    """

    anchors: Annotated[int, "at least 1", {"int": [5, 50], "log": True}] = 20
    anchor_components: Annotated[int, "at least 1", {"int": [10, 60], "log": True}] = 30

    def align(self, shown: Split, seed: int) -> None:
        """Find anchors, and place the anchored cells among the reference's components."""
        order = chain(shown)
        self.reference = order[1] if len(order) > 2 else order[0]
        cells = {m: shown.observing(m) for m in shown.modalities}
        self.pca, components = {}, {}
        for modality, observed in cells.items():
            x = observed.values[modality]
            size = min(self.latent, min(x.shape) - 1)
            self.pca[modality] = PCA(size, random_state=seed).fit(x)
            components[modality] = self.pca[modality].transform(x)
        self.anchored, self.places = {}, {}
        for modality in set(cells) - {self.reference}:
            pair = (modality, self.reference)
            features = linked(shown, pair, components=self.anchor_components)
            columns = [features.of(cells[m], m) for m in pair]
            mutual = mutual_neighbors(*columns, self.anchors)
            weight = np.asarray(mutual.sum(axis=1)).ravel()
            having = np.flatnonzero(weight)
            places = (mutual @ components[self.reference])[having] / weight[having, None]
            self.places[modality] = places
            self.anchored[modality] = nearest(components[modality][having], self.neighbors)

    def embed(self, cells: Cells) -> np.ndarray:
        """Return places among the reference's principal components, (cells, latent)."""
        (modality,) = cells.modalities
        x = self.pca[modality].transform(cells.values[modality])
        if modality == self.reference:
            return x
        return mean_of_nearest(self.anchored[modality], x, self.places[modality])
