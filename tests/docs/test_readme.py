"""What README.md and the FAQ show runs as it is written, and the example report is whole."""

import re

import numpy as np
import pytest
from conftest import REPOSITORY
from mosaicbench_fits import LIMITS, run_of, seeds_of
from mosaicbench_splits import cut_small, small_dataset

from mosaicbench.commands import embeddings, fit
from mosaicbench.files.dataset import write_dataset

NAME, RUN = "covid_citeseq_small-paired", "vae_poe"  # of the default benchmark


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """Return a folder with embeddings as a benchmark writes them, and its dataset."""
    folder, dataset = tmp_path_factory.mktemp("benchmark"), small_dataset()
    write_dataset(folder / "small.h5mu", dataset)
    split = cut_small(dataset, "paired", folder / "split")
    runs = [run_of("pca_joint", [folder / "run"], run=RUN)]
    fit.main(runs=runs, seeds=seeds_of([split], [0]), limits=LIMITS)
    job = {"dataset": folder / "small.h5mu", "split": split, "runs": [folder / "run"]}
    embeddings.main(splits=[job | {"output": folder / f"results/embeddings/{NAME}.h5ad"}])
    return folder, dataset


@pytest.mark.parametrize("page", ["README.md", "docs/faq.md"])
@pytest.mark.filterwarnings("ignore")
def test_its_three_lines_of_scanpy_read_the_embeddings_of_a_benchmark(page, benchmark, monkeypatch):
    folder, dataset = benchmark
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (lines,) = [block for block in blocks if "scanpy" in block]
    monkeypatch.chdir(folder)
    names = {}
    exec(lines, names)  # noqa: S102 - as a reader would run it
    cells = names["cells"]
    assert list(cells.obs_names) == list(dataset.obs_names)
    # The neighbours of scanpy are those of the latents: of one type more often than by chance.
    types = cells.obs["cell_type"].to_numpy()
    of, neighbour = cells.obsp["distances"].nonzero()
    frequencies = cells.obs["cell_type"].value_counts(normalize=True)
    assert (types[of] == types[neighbour]).mean() > 1.5 * (frequencies**2).sum()
    assert np.isfinite(cells.obsm[f"X_{RUN}"]).all()


def test_the_links_inside_the_example_report_lead_somewhere():
    page = REPOSITORY / "docs/example_report.html"
    text = page.read_text(encoding="utf-8")
    missing = set(re.findall(r'href="#([^"]+)"', text)) - set(re.findall(r'\bid="([^"]+)"', text))
    assert not missing, "run: make figure"
    assert 300_000 < page.stat().st_size < 1_500_000
