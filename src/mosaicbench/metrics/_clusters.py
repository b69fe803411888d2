"""Agreement of cell types with clusters of a latent, computed once for its two scores."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mosaicbench.metrics._graph import labelled


def cluster_agreement(latent: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return "nmi" and "ari" between types and K-means clusters of the cells with a label, as many as there are types."""
    cells, codes = labelled(latent, labels)
    return _agreement(cells.tobytes(), cells.shape, codes.astype(np.int64).tobytes())


@lru_cache(maxsize=1)
def _agreement(cells: bytes, shape: tuple[int, int], codes: bytes) -> dict[str, float]:
    from scib_metrics import nmi_ari_cluster_labels_kmeans

    found = nmi_ari_cluster_labels_kmeans(np.frombuffer(cells).reshape(shape), np.frombuffer(codes, dtype=np.int64))
    return {name: min(1.0, float(found[name])) for name in ("nmi", "ari")}
