"""Score latents that another benchmark published, by every definition of FOSCTTM that this package has.

    python benchmarks/stored_latents.py FOLDER

FOLDER holds three files of the repository bm2-lab/SCMMI_Benchmark (MIT): `test/SHARE-multiome-raw-scRNA+scATAC-bindSC-RNA-latent.csv.gz`,
the same of ATAC, and `SHARE_RNA+ATAC_raw_metadata.csv.gz` of `manuscript_figure_script_and_data/stage2_res/metadata`: latents of
bindSC for 34,774 cells of mouse skin (SHARE-seq), and their types. The table has a row per definition and direction, the page
docs/definitions.md the rows as a table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mosaicbench.catalog import catalog
from mosaicbench.metrics import alignment, published_variants

REPOSITORY = Path(__file__).parents[1]
TABLE = REPOSITORY / "docs/benchmarks/definitions.tsv"
FILES = "SHARE-multiome-raw-scRNA+scATAC-bindSC-{}-latent.csv.gz"
TYPES = "SHARE_RNA+ATAC_raw_metadata.csv.gz"
MODALITIES = ("RNA", "ATAC")
ONE_DIRECTION = ("foscttm", "foscttm_cosine", "foscttm_univi", "foscttm_maxfuse")
BOTH = ("foscttm_glue", "foscttm_scot", "foscttm_midas")


def main(folder: Path) -> None:
    """Score, and write the table."""
    latents = [pd.read_csv(folder / FILES.format(name), index_col=0) for name in MODALITIES]
    types = pd.read_csv(folder / TYPES, index_col=0)["cell_type"].reindex(latents[0].index)
    if not latents[0].index.equals(latents[1].index):
        raise SystemExit(f"{folder}: the latents are of other cells; take both from one commit")
    if types.isna().any():
        raise SystemExit(
            f"{folder / TYPES}: {types.isna().sum()} cells of the latents have no type"
        )
    a, b = (latent.to_numpy(float) for latent in latents)
    rows = pd.DataFrame(scored(a, b, types.to_numpy(object)))
    rows.insert(2, "label", [catalog.card("metrics", metric)["label"] for metric in rows["metric"]])
    rows.assign(cells=len(a)).to_csv(TABLE, sep="\t", index=False, float_format="%.5f")
    print(rows.to_string(index=False))


def scored(a: np.ndarray, b: np.ndarray, types: np.ndarray) -> list[dict]:
    """Return a row per definition and direction of latents (cells, dims) of the same cells."""
    rows = []
    for direction, x, y in (("rna->atac", a, b), ("atac->rna", b, a)):
        for metric in ONE_DIRECTION:
            room = (
                published_variants if metric in ("foscttm_univi", "foscttm_maxfuse") else alignment
            )
            rows.append(
                {"metric": metric, "direction": direction, "score": getattr(room, metric)(x, y)}
            )
        within = alignment.foscttm_within_cell_type(x, y, types)
        rows.append({"metric": "foscttm_within_cell_type", "direction": direction, "score": within})
    for metric in BOTH:
        score = getattr(published_variants, metric)(a, b)
        rows.append({"metric": metric, "direction": "both", "score": score})
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1]))
