"""`mosaicbench trust`: from a file of latents to estimates, and the estimates of a benchmark's table."""

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from own_cells import own_cells

from mosaicbench import cli
from mosaicbench.commands import _trust
from mosaicbench.commands.tabulate import with_estimates
from mosaicbench.files._h5 import quiet_mudata
from mosaicbench.scoring import trust
from mosaicbench.workflow.layout import Results


def latents(types, *, exchanged=False):
    """Return a place per type, with noise; the last types are exchanged with the first."""
    names, codes = np.unique(types, return_inverse=True)
    places = len(names) - 1 - codes if exchanged else codes
    noise = np.random.default_rng(0).normal(size=(2, len(types), len(names)))
    return 9 * np.eye(len(names))[places] + noise[int(exchanged)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a match and an exchange of types, as .h5mu with counts, and as .h5ad of latents alone."""
    place, parts = tmp_path_factory.mktemp("trust"), own_cells(cells=400, genes=2000)
    types = parts["rna"].obs["cell_type"].astype(str).to_numpy()
    for name in ("match", "exchange"):
        z = {"rna": latents(types), "adt": latents(types, exchanged=name == "exchange")}
        for modality, cells in parts.items():
            cells.obsm["X_mosaicbench"] = z[modality]
        with quiet_mudata():
            mudata.MuData(parts).write_h5mu(place / f"{name}.h5mu")
        keys = {f"X_mine_{modality}": values for modality, values in z.items()}
        anndata.AnnData(obs=parts["rna"].obs, obsm=keys).write_h5ad(place / f"{name}.h5ad")
    return place


def said(capsys, *arguments):
    """Return what the command prints."""
    cli.main(["trust", *map(str, arguments)])
    return capsys.readouterr().out


def of(printed, name):
    """Return the number behind a name."""
    (line,) = [line for line in printed.splitlines() if line.strip().startswith(name)]
    return float(line.strip().removeprefix(name).split()[0].strip(";"))


def test_a_match_is_told_from_an_exchange_of_types(folder, capsys):
    match, exchange = (said(capsys, folder / f"{name}.h5mu") for name in ("match", "exchange"))
    assert "rna (400 cells) and adt (400 cells)" in match and "score --latents" in match
    assert of(match, "FOSCTTM") < 0.25 and "exchanged" not in match
    assert of(exchange, "FOSCTTM") >= trust.BAD and "as bad as exchanged types" in exchange
    assert "estimated, not measured; 90 % interval" in match
    share = own_cells(cells=400, genes=2000)["rna"].obs["cell_type"].value_counts(normalize=True)
    for printed in (match, exchange):
        seen = {name: of(printed, name) for name in ("across", "own", "way_back")}
        estimates = trust.estimates(trust.index(**seen))
        assert of(printed, "FOSCTTM") == pytest.approx(estimates["foscttm"][0], abs=0.01)
        skill = estimates["label_transfer_skill"][0]
        expected = trust.accuracy(skill, share.max())
        assert of(printed, "label transfer accuracy") == pytest.approx(expected, abs=0.02)


def test_latents_alone_need_values_of_the_same_cells(folder, capsys):
    options = "--embedding", "X_mine", "--values", folder / "match.h5mu"
    assert said(capsys, folder / "match.h5ad", *options) == said(capsys, folder / "match.h5mu")
    with pytest.raises(SystemExit, match="without linked features, exchanged types look like"):
        said(capsys, folder / "match.h5ad", "--embedding", "X_mine")
    with pytest.raises(SystemExit, match="latents of two modalities in obsm.*found 0"):
        said(capsys, folder / "match.h5mu", "--embedding", "X_other")


def test_without_linked_features_there_is_no_estimate(folder, tmp_path, capsys):
    with quiet_mudata():
        whole = mudata.read_h5mu(folder / "match.h5mu")
        whole["rna"].var_names = [f"ENSG{number:011d}" for number in range(whole["rna"].n_vars)]
        mudata.MuData(dict(whole.mod)).write_h5mu(tmp_path / "unlinked.h5mu")
    printed = said(capsys, tmp_path / "unlinked.h5mu")
    assert "no estimate" in printed and "--links" in printed
    assert "mixing" in printed and "FOSCTTM" not in printed


def test_runs_as_measured_without_truth_have_an_estimate_in_the_table(tmp_path, monkeypatch):
    results, fits = Results(tmp_path), []
    overview = pd.DataFrame(
        [
            ("d", "own", "mmaavi", "–"),
            ("d", "own", "scored", "0.100"),
            ("d", "unpaired", "mmaavi", "–"),
        ],
        columns=["dataset", "scenario", "run", "foscttm"],
    )
    for dataset, scenario, run, _ in overview.itertuples(index=False):
        for seed in (0, 1):
            fits.append({"dataset": dataset, "scenario": scenario, "run": run, "seed": seed})
            files = (
                tmp_path / results.split(dataset, scenario, seed) / "query.h5mu",
                tmp_path / results.fit(dataset, scenario, run, seed) / "latents.h5ad",
            )
            for file in files:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()

    def made_up(split, fit):
        middle = 0.2 + 0.1 * int(fit.name.removeprefix("seed-"))
        return [(middle, middle - 0.1, middle + 0.2)]

    monkeypatch.setattr(_trust, "estimates_of_fit", made_up)
    kinds = {"own": "as_measured", "unpaired": "unpaired"}
    table = with_estimates(overview, kinds, fits, results)
    assert table["foscttm_estimated"].tolist() == ["0.250 (0.150 to 0.450)", "–", "–"]
    assert with_estimates(overview, {"own": "paired"}, fits, results).equals(overview)
