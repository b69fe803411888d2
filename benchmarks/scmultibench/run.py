"""One embedding scored by multibench-sc (scMultiBench) and by this project, and the reasons for differences.

    python benchmarks/scmultibench/run.py ours FOLDER          # with mosaicbench: makes the embedding and scores it
    OTHER/python benchmarks/scmultibench/run.py theirs FOLDER  # with multibench-sc 0.4.0, in an environment of its own
    python benchmarks/scmultibench/run.py compare FOLDER       # prints the table of docs/metrics.md

The embedding is 20 principal components of both modalities of bmmc_cite_small (two donors, cells with a type). `theirs` scores
it with that package unchanged, then with our choices, one at a time.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

NAMES = {  # our metric -> theirs
    "ari": "ARI",
    "nmi": "NMI",
    "label_silhouette": "ASW",
    "isolated_labels": "iASW",
    "isolated_labels_f1": "iF1",
    "graph_connectivity": "GC",
    "clisi": "cLISI",
    "ilisi": "iLISI",
    "bras": "ASW_batch",
}


def ours(folder: Path) -> None:
    """Write the embedding with our clusters and neighbours, and our scores of it."""
    from sklearn.decomposition import PCA

    from mosaicbench.data import embedded
    from mosaicbench.metrics._nearest import neighbors
    from mosaicbench.metrics.biology import clusters_of
    from mosaicbench.scoring.external import scores_of_embeddings

    dataset = embedded.load("bmmc_cite_small")
    dataset = dataset[dataset.obs["cell_type"].astype(str) != ""].copy()
    standardised = []
    for cells in dataset.mod.values():
        counts = cells.layers["counts"].toarray()
        sizes = counts.sum(axis=1, keepdims=True)
        x = np.log1p(counts / np.maximum(sizes, 1) * np.median(sizes))
        x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
        standardised.append(x / np.sqrt(x.shape[1]))
    z = PCA(20, random_state=0).fit_transform(np.hstack(standardised)).astype(np.float64)
    obs = dataset.obs[["cell_type", "batch"]].astype(str)
    scores = scores_of_embeddings({"joint": (obs.index, z)}, obs, groups=["biology", "mixing"])
    values = scores.set_index("metric")["value"].to_dict()
    (folder / "ours.json").write_text(json.dumps(values))
    distances, nearest = neighbors(z, 90)
    types, batches = (obs[key].to_numpy(str) for key in obs)
    number = obs["cell_type"].nunique()
    clusters, more_clusters = clusters_of(z, number), clusters_of(z, 2 * number)
    arrays = {"z": z, "distances": distances, "nearest": nearest, "types": types}
    arrays |= {"batches": batches, "clusters": clusters, "more_clusters": more_clusters}
    np.savez(folder / "embedding.npz", **arrays)


def theirs(folder: Path) -> None:
    """Write their scores, unchanged and with our choices."""
    from multibench.eval.scib import compute

    def scored(clusters: np.ndarray | None, **chosen: object) -> dict[str, float]:
        return compute(z, types, clusters, batches, **chosen)["Value"].to_dict()

    with np.load(folder / "embedding.npz") as file:
        arrays = dict(file)
    z, types, batches, clusters = (arrays[key] for key in ("z", "types", "batches", "clusters"))
    distances, nearest = arrays["distances"], arrays["nearest"]
    steps = {"as it is": scored(None, group="all")}
    steps["with our clusters"] = scored(clusters, group="clustering", only={"ARI", "NMI"})
    both = [clusters, arrays["more_clusters"]]
    steps["best of our two clusterings"] = {"iF1": _best_f1(types, both)}
    steps["of types, not of clusters"] = scored(types, only={"ASW", "iASW"})
    steps["with our neighbours"] = {
        "GC": _connectivity(z, types, nearest[:, 1:15]),
        "cLISI": _lisi(distances, nearest, types, of_types=True),
        "iLISI": _lisi(distances, nearest, batches, of_types=False),
    }
    steps["of cosine distances"] = {"ASW_batch": _of_batches(z, types, batches)}
    (folder / "theirs.json").write_text(json.dumps(steps))


def _best_f1(types: np.ndarray, clusterings: list[np.ndarray]) -> float:
    """Return the F1 score of the best cluster for a type, mean over types; the package has one clustering."""
    from sklearn.metrics import f1_score

    best = []
    for name in np.unique(types):
        scores = []
        for clusters in clusterings:
            scores += [f1_score(types == name, clusters == one) for one in np.unique(clusters)]
        best.append(max(scores))
    return float(np.mean(best))


def _connectivity(z: np.ndarray, types: np.ndarray, nearest: np.ndarray) -> float:
    """Return scib's graph connectivity of a directed graph of neighbours."""
    import pandas as pd
    from anndata import AnnData
    from scib.metrics import graph_connectivity
    from scipy import sparse

    rows = np.repeat(np.arange(len(nearest)), nearest.shape[1])
    graph = sparse.csr_matrix(
        (np.ones(nearest.size), (rows, nearest.ravel())), shape=(len(z), len(z))
    )
    obs = pd.DataFrame({"type": pd.Categorical(types)}, index=[str(row) for row in range(len(z))])
    return float(
        graph_connectivity(
            AnnData(z, obs=obs, obsp={"connectivities": graph}, uns={"neighbors": {}}), "type"
        )
    )


def _of_batches(z: np.ndarray, types: np.ndarray, batches: np.ndarray) -> float:
    """Return scib's silhouette of batches within types, by cosine distances; of two batches, BRAS is the same."""
    import pandas as pd
    from anndata import AnnData
    from scib.metrics import silhouette_batch

    obs = pd.DataFrame(
        {"type": types, "batch": batches}, index=[str(row) for row in range(len(z))]
    ).astype("category")
    cells = AnnData(z, obs=obs, obsm={"z": z})
    return float(
        silhouette_batch(
            cells, batch_key="batch", label_key="type", embed="z", metric="cosine", verbose=False
        )
    )


def _lisi(
    distances: np.ndarray, nearest: np.ndarray, names: np.ndarray, *, of_types: bool
) -> float:
    """Return the median of scib's index over given neighbours, scaled as scib does; the cell itself is not among them."""
    import pandas as pd
    from scib.metrics.lisi import compute_simpson_index_graph

    found, codes = np.unique(names, return_inverse=True)
    k = nearest.shape[1] - 1
    with TemporaryDirectory() as folder:
        for name, values in (("indices", nearest[:, 1:] + 1), ("distances", distances[:, 1:])):
            pd.DataFrame(values, index=range(len(values))).to_csv(
                f"{folder}/x_{name}_0.txt", header=False
            )
        index = compute_simpson_index_graph(
            f"{folder}/x", codes, len(found), n_neighbors=k, perplexity=30
        )
    median = np.nanmedian(1 / index)
    return float(
        (len(found) - median) / (len(found) - 1) if of_types else (median - 1) / (len(found) - 1)
    )


def compare(folder: Path) -> None:
    """Print our scores, theirs, and theirs with the choice that makes them ours."""
    mine, steps = (json.loads((folder / f"{side}.json").read_text()) for side in ("ours", "theirs"))
    as_it_is = steps.pop("as it is")
    print("| metric | ours | multibench-sc | changed | then |\n|---|--:|--:|---|--:|")
    for own, other in NAMES.items():
        changed = next((what for what, scores in steps.items() if other in scores), "")
        then = f"{steps[changed][other]:.6f}" if changed else ""
        print(
            f"| `{own}`, {other} | {mine[own]:.6f} | {as_it_is[other]:.6f} | {changed} | {then} |"
        )


if __name__ == "__main__":
    {"ours": ours, "theirs": theirs, "compare": compare}[sys.argv[1]](Path(sys.argv[2]))
