"""Names that tables, files and pandas use themselves, or that look like intervals, change no score."""

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest

from mosaicbench.commands import fit, prepare, score, split, tabulate
from mosaicbench.config import jobs, settings
from mosaicbench.data import embedded
from mosaicbench.files.tables import read_table
from mosaicbench.workflow.layout import Results

# plain -> odd; those of each kind sort alike, because the split draws cells by sorted names.
MODALITIES = {"rna": "query", "adt": "mean"}
RUNS = {"cca": "all", "celltype_mean": "best", "ridge": "joint"}
DATASET, SCENARIO = ("plain", "run"), ("plain", "dataset")
ODD_TYPES = [
    "(0.1, 0.5]",
    "-",
    "0-10",
    "[1, 2)",
    "all",
    "joint",
    "mean",
    "metric",
    "query",
    "rna->adt",
]
ODD_TYPES += ["run", "value", "{x}", "|"]
ODD_FEATURES = [
    "(0.0, 1.0]",
    "1",
    "[1, 2)",
    "chr1:1-99",
    "index",
    "joint",
    "mean",
    "rna->adt",
    "run",
]


@pytest.fixture(scope="module")
def cells():
    return embedded.load("bmmc_cite_small")[:160].copy()


def tables(cells, folder, *, odd):
    """Return scores and features of a small benchmark, with plain or with odd names."""
    types = sorted(set(cells.obs["cell_type"]) - {""})
    typed = dict(zip(types, ODD_TYPES, strict=False)) | {"": ""}
    batched = dict(zip(sorted(set(cells.obs["batch"])), ["(0, 1]", "all"], strict=False))
    parts = {}
    for name, part in cells.mod.items():
        obs = cells.obs[["cell_type", "batch"]].astype(str)
        features = list(part.var_names)
        if odd:
            obs = pd.DataFrame(
                {"cell_type": obs["cell_type"].map(typed), "batch": obs["batch"].map(batched)}
            )
            features[: len(ODD_FEATURES)] = ODD_FEATURES
        var = pd.DataFrame(index=features)
        part = anndata.AnnData(part.layers["counts"].copy(), obs=obs, var=var)
        parts[MODALITIES[name] if odd else name] = part
    folder.mkdir()
    mudata.MuData(parts).write_h5mu(folder / "x.h5mu")
    stanza = {"path": str(folder / "x.h5mu"), "cell_type": "cell_type", "batch": "batch"}
    stanza["kinds"] = dict(zip(parts, ("rna", "adt"), strict=True))
    bench = settings.load(
        {
            "datasets": {DATASET[odd]: stanza},
            "scenarios": {SCENARIO[odd]: {"kind": "paired"}},
            "runs": {new if odd else run: {"method": run} for run, new in RUNS.items()},
            "seeds": [0],
            "metrics": {"groups": ["alignment", "label_transfer", "imputation"]},
        }
    )
    results, (place,) = Results(str(folder / "results")), bench.splits
    prepare.main(**jobs.prepare(bench, results, dataset=DATASET[odd]))
    split.main(**jobs.split(bench, results, split=place))
    fit.main(**jobs.fit(bench, results, split=place))
    score.main(**jobs.score(bench, results, split=place))
    tabulate.main(**jobs.tabulate(bench, results))
    return [read_table(results.table(name)) for name in ("scores", "overall", "comparison")]


def test_odd_names_change_no_score(cells, tmp_path):
    plain, odd = (tables(cells, tmp_path / str(odd), odd=odd) for odd in (False, True))
    scores, renamed = plain[0], odd[0]
    assert len(scores) > 60
    scores = scores.replace({"run": RUNS, "dataset": dict([DATASET]), "scenario": dict([SCENARIO])})
    scores["direction"] = [
        "->".join(MODALITIES.get(part, part) for part in direction.split("->"))
        for direction in scores["direction"]
    ]
    keys = [name for name in scores if name != "value"]
    pairs = scores.merge(renamed, on=keys, how="outer", suffixes=("", "_odd"), validate="1:1")
    assert len(pairs) == len(scores) == len(renamed)
    measured = ~pairs["metric"].isin(["fit_seconds", "peak_host_mb"])
    np.testing.assert_allclose(
        pairs["value"][measured], pairs["value_odd"][measured], rtol=1e-5, equal_nan=True
    )
    for one, other in zip(plain[1:], odd[1:], strict=True):
        assert len(one) == len(other)
        assert set(other["run"]) == {RUNS[run] for run in one["run"]}
