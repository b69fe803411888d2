"""The keys of a config: types, ranges and defaults. config/README.md has examples.

The text below a key is its description in the JSON schema for editors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WrapValidator,
    field_validator,
    model_validator,
)

from mosaicbench.catalog import cards
from mosaicbench.config.checking import Strict, Text
from mosaicbench.config.recorded import BEST_OF_SPLIT
from mosaicbench.workflow import layout

EDITORS_SCHEMA = layout.project_file("workflow/schemas/config.schema.json")
LARGEST_SEED = 2**32 - 1  # of NumPy
ALL, MEAN = "all", "mean"  # the defaults of tuning.runs and tuning.objective
DEFAULT_RUNS = [
    "vae_poe",
    "mmvae",
    "mopoe",
    "mmvaepp",
    "scmodal",
    "linear",
    "pca_joint",
    "cca",
    "procrustes",
    "knn_impute",
    "ridge",
    "linked_cca",
    "linked_mnn",
    "oracle",
    "label_oracle",
    "random_latent",
    "shuffled",
    "constant",
    "train_mean",
    "celltype_mean",
]
WITHOUT_MOSAIC = {
    "paired": "in a paired scenario every train cell has all modalities",
    "as_measured": "a scenario as measured hides nothing",
}


def _as_given(value: object, check: Callable) -> object:
    check(value)
    return value


def distinct(values: list) -> list:
    """Refuse a list with a repeated value."""
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice")
    return values


def _truth(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _names_a_folder(name: str) -> str:
    if name == "NA":
        raise ValueError("'NA' is how tables say that a number is missing; choose another name")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{,99}", name):
        raise ValueError(
            f"{name[:120]!r} becomes a folder's name; use at most 100 letters, digits, '_', '-' and "
            "'.', and a letter or digit first"
        )
    return name


def _names_a_dataset(name: str) -> str:
    if name == "all_datasets":
        raise ValueError(f"{name!r} is the folder of tables over all datasets; choose another name")
    return _names_a_folder(name)


def _folder(path: str) -> str:
    if not re.fullmatch(r"[\w./+@%=,~][\w./+@%=,~-]*", path):
        raise ValueError(
            f"{path!r} is not possible in commands; use letters, digits and . / _ - + @ % = , ~ alone, "
            "and no - first"
        )
    return path


Number = Annotated[float, WrapValidator(_as_given)]
Positive = Annotated[float, Gt(0), WrapValidator(_as_given)]
Limit = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
Part = Annotated[float, Gt(0), Lt(1), WrapValidator(_as_given)]
Count, AtLeastOne = Annotated[int, Ge(0)], Annotated[int, Ge(1)]
Seed = Annotated[int, Ge(0), Le(LARGEST_SEED)]
Names = Annotated[list[Text], AfterValidator(distinct)]
OneOrMore = Annotated[Names, MinLen(1)]
FewRuns = Annotated[Names, MaxLen(4)]
Flag = Annotated[bool, BeforeValidator(_truth)]
Id = Annotated[str, AfterValidator(_names_a_folder)]
Folder = Annotated[str, AfterValidator(_folder)]
LEFT_OUT: Any = None  # the default of a key that may be left out and may not be null


class Labels(Strict):
    """Cell types from a table."""

    path: Text
    """A .tsv, .csv or .rds table."""
    column: Text
    """The table's column of cell types."""
    barcode: Text = LEFT_OUT
    """The table's column of cell names."""
    suffix: str = LEFT_OUT
    """What to add to the end of the table's cell names."""
    remove: str = LEFT_OUT
    """What to remove from the end of the table's cell names."""


class Thresholds(Strict):
    """What a cell must have in one modality."""

    min_features: Limit = LEFT_OUT
    max_features: Limit = LEFT_OUT
    min_counts: Limit = LEFT_OUT
    max_counts: Limit = LEFT_OUT
    max_mito: Fraction = LEFT_OUT
    """Fraction of a cell's counts in mitochondrial genes."""
    min_cells: Count = LEFT_OUT
    """Cells with the feature, of those that are kept."""


class Association(Strict):
    """The features most and least associated with one cell type."""

    cell_type: Text
    """The type to compare with all others."""
    relevant: dict[Text, Count] = LEFT_OUT
    """Modality -> number of features."""
    irrelevant: dict[Text, Count] = LEFT_OUT
    """Modality -> number of features."""


class Dataset(Strict):
    """The keys that every dataset may have; its loader has more."""

    model_config = ConfigDict(extra="allow")

    source: Text = Field(LEFT_OUT, alias="from")
    """The entry of config/datasets.yaml that this stanza completes, if the id is another."""
    loader: Text = LEFT_OUT
    """The loader of the files (`mosaicbench list datasets`)."""
    labels: Labels | None = None
    labels_from: Names = LEFT_OUT
    """The modalities that the cell types were derived from, such as [rna, adt]; [] for none."""
    qc: dict[Text, Thresholds] | None = None
    """Modality -> thresholds that a cell must meet."""
    association: Association | None = None


class GroupSplit(Strict):
    """Whole batches, donors or wells become the query, instead of random cells."""

    by: Text
    """A column of the dataset, such as batch or donor."""
    held_out: Annotated[list[Text | int], MinLen(1), AfterValidator(distinct)] = LEFT_OUT
    """The groups that become the query; left out, the seed chooses one."""


class Labelled(Strict):
    """Only few train cells, all of one batch, have a cell type; no query cell has one."""

    fraction: Fraction
    """Fraction of the train cells with a cell type; 0 for none."""
    min_per_type: Count = LEFT_OUT
    """Least number of labelled cells of every type, if the batch has them; 1 by default."""
    batch: Text = LEFT_OUT
    """The batch; by default the seed draws one."""


class PreprocessProteins(Strict):
    """Options for proteins, and for every other kind of modality."""

    standardise: bool = LEFT_OUT
    """Whether values are divided by their standard deviation over train cells, and clipped at 10 of them."""
    fit_on: Literal["train", "all"] = LEFT_OUT
    """The cells to which the transform is fitted; `all` includes query cells, a leak for comparison."""


class PreprocessRNA(PreprocessProteins):
    """Options for RNA."""

    features: Annotated[int, Ge(2)] = LEFT_OUT
    """Number of most variable genes."""


class PreprocessATAC(PreprocessProteins):
    """Options for ATAC."""

    features: Annotated[int, Ge(2)] = LEFT_OUT
    """Number of peaks, those open in most train cells."""
    components: AtLeastOne = LEFT_OUT
    """Number of LSI components, without the depth component."""
    transform: Literal["lsi", "raw_svd", "residuals"] = LEFT_OUT
    """The matrix that is decomposed: TF-IDF (lsi), counts (raw_svd), or residuals of a Poisson model."""
    out_of_fold: bool = LEFT_OUT
    """Whether train cells, like query cells, get coordinates from a decomposition fitted without them."""


class PreprocessContinuous(PreprocessProteins):
    """Options for other values."""

    features: AtLeastOne = LEFT_OUT
    """Number of features, those of largest variance."""


class Preprocess(Strict):
    """Kind of modality -> options of its preprocessing, fitted on train cells."""

    rna: PreprocessRNA = LEFT_OUT
    atac: PreprocessATAC = LEFT_OUT
    adt: PreprocessProteins = LEFT_OUT
    continuous: PreprocessContinuous = LEFT_OUT


class Scenario(Strict):
    """How pairing is hidden."""

    kind: Literal["paired", "unpaired", "mosaic", "as_measured"]
    """Train cells have all modalities (paired), one each (unpaired), some more than others (mosaic), or those that were measured (as_measured)."""
    query_fraction: Part = 0.2
    """Fraction of the cells that no method trains on, stratified by cell type."""
    split: GroupSplit = LEFT_OUT
    label_subset: Labelled = LEFT_OUT
    paired_fraction: Fraction = LEFT_OUT
    """Mosaic: this fraction of the train cells has all modalities, the others one each."""
    blocks: Annotated[list[OneOrMore], MinLen(1)] = LEFT_OUT
    """Mosaic: the modalities of each block of train cells, instead of paired_fraction."""
    fractions: list[Annotated[float, Gt(0)]] = LEFT_OUT
    """Mosaic: relative sizes of the blocks; equal by default."""
    balanced: bool = LEFT_OUT
    """Unpaired and mosaic: whether each part of the train cells has the same cell types; true by default."""
    imbalance: Annotated[dict[Text, OneOrMore], MinLen(1)] = LEFT_OUT
    """Unpaired and mosaic: modality -> cell types without a train cell measured in it."""
    corrupted_links: Fraction = LEFT_OUT
    """Fraction of the links between chosen features to replace by wrong ones, drawn by the seed."""
    preprocess: Preprocess = LEFT_OUT
    """Preprocessing in this scenario, where it differs from the key preprocess."""
    datasets: OneOrMore = LEFT_OUT
    """The datasets of the scenario; all by default."""
    runs: OneOrMore = LEFT_OUT
    """The runs of the scenario, if their methods can take part; all by default."""

    @field_validator("paired_fraction", "blocks", "fractions")
    @classmethod
    def _of_a_mosaic(cls, value: object, info: ValidationInfo) -> object:
        if (kind := info.data.get("kind", "mosaic")) != "mosaic":
            raise ValueError(f"only a mosaic has it, this scenario is {kind}")
        return value

    @field_validator("fractions")
    @classmethod
    def _one_per_block(cls, value: list, info: ValidationInfo) -> list:
        if len(value) != len(info.data.get("blocks") or ()):
            raise ValueError("expected one number for each of the blocks")
        return value

    @field_validator("balanced", "imbalance")
    @classmethod
    def _where_pairs_are_hidden(cls, value: object, info: ValidationInfo) -> object:
        if why := WITHOUT_MOSAIC.get(info.data.get("kind", "")):
            raise ValueError(why)
        return value

    @model_validator(mode="after")
    def _one_design(self) -> Scenario:
        design = [key for key in ("paired_fraction", "blocks") if key in self.model_fields_set]
        if self.kind == "mosaic" and len(design) != 1:
            found = " and ".join(design) or "neither"
            raise ValueError(f"a mosaic needs either paired_fraction or blocks, found {found}")
        return self


class Training(Strict):
    """The training budget, the same for every trained method."""

    max_epochs: AtLeastOne = 1000
    """Largest number of epochs; tables name a run that this limit stopped."""
    patience: AtLeastOne = 5
    """Epochs without a lower validation loss (mean over 5 epochs) before the cooldown, with which training ends."""
    batch_size: AtLeastOne = 128
    """Cells per step."""


class Tuning(Strict):
    """For each of these runs, a second run, NAME-tuned, with hyperparameters searched on the train cells."""

    trials: Annotated[int, Ge(1), Le(10_000)] = 20
    """Fits in the search of each run and split, including the defaults."""
    runs: Literal["all"] | OneOrMore = ALL
    """All runs with something to search, or a list of them."""
    objective: Text = MEAN
    """What is optimised on the inner query: a metric's id, or mean (of scaled scores of alignment, label transfer and imputation)."""
    fraction: Part = 0.2
    """Fraction of the train cells that become the inner query."""
    seed: Seed = 0
    """Seed of the inner split and of the search."""
    per_seed: bool = False
    """Whether each seed has a search; by default the first seed's search decides for all."""


class Metrics(Strict):
    """The metrics that score the runs."""

    groups: Annotated[list[Literal[tuple(cards.GROUPS)]], MinLen(1), AfterValidator(distinct)] = (
        Field(["alignment", "label_transfer", "imputation", "sanity", "reference", "resources"])
    )
    """Groups of metrics (`mosaicbench list metrics`); published_variants are for comparison with published numbers only."""


class Limits(Strict):
    """Limits of one run; a run beyond them is stopped and becomes a row with that status."""

    minutes: Annotated[Positive, Le(525_600)] = 120
    """Wall-clock minutes."""
    memory_mb: Annotated[Positive, Le(1e9)] = 16_000
    """Memory in MB."""


class Sweep(Strict):
    """A quantity that varies over datasets, scenarios or runs, and the scores to draw against it."""

    label: str
    """Name of the quantity."""
    log: bool = False
    """Whether its axis is logarithmic."""
    metrics: Annotated[dict[str, OneOrMore | None], MinLen(1)]
    """Metric -> the directions or sources to draw, a panel each; null for their mean."""
    series: Annotated[dict[Text, Annotated[dict[str, Number], MinLen(2)]], MinLen(1)]
    """Name of a series -> id of a dataset, scenario or run -> the quantity's value."""


class Report(Strict):
    """Choices for the tables and figures."""

    umap_runs: FewRuns | None = None
    """At most 4 runs whose query cells are drawn (UMAP, clusters, confusion, imputed values); by default those that the report recommends on a split."""
    sampled_runs: FewRuns = []
    """At most 4 VAEs; virtual cells from their priors are compared with real cells."""
    reference_run: Text | None = None
    """A run against which every other is tested, beside the best run and the baseline linear."""
    sweep: Sweep | None = None


class Pathvars(Strict):
    """Folders of results, logs and raw data (resources); a key of Snakemake."""

    results: Folder = LEFT_OUT
    resources: Folder = LEFT_OUT
    logs: Folder = LEFT_OUT


class Config(Strict):
    """A benchmark. config/README.md explains every key with examples."""

    datasets: Annotated[
        dict[Annotated[str, AfterValidator(_names_a_dataset)], Dataset | None], MinLen(1)
    ]
    """Dataset id -> stanza; an id of config/datasets.yaml, or your own data with a `path`."""
    registry: Text | None = None
    """The file with the addresses of datasets, relative to the working directory; null for config/datasets.yaml."""
    scenarios: Annotated[dict[Id, Scenario], MinLen(1)] = Field(
        {kind: {"kind": kind} for kind in ("paired", "unpaired")}
    )
    """Scenario id -> how pairing is hidden."""
    runs: Annotated[dict[Id, dict[str, Any] | None], MinLen(1)] = Field(
        {name: {} for name in DEFAULT_RUNS}
    )
    """Run id -> stanza: `method` (by default the run's id) and its hyperparameters; or `latents` and `imputed`, files of an external run."""
    seeds: Annotated[list[Seed], MinLen(1), AfterValidator(distinct)] = [0, 1, 2]
    """Replicates of the whole experiment: a seed determines split, initialisation and minibatches."""
    training: Training = Training()
    tuning: Tuning | None = None
    preprocess: Preprocess = Preprocess()
    metrics: Metrics = Metrics()
    save_models: Names = [BEST_OF_SPLIT]
    """Runs to save with their fitted models, for `mosaicbench apply`. `best` saves the first seed of all models and baselines of this project, of which one is the best; runs of report.sampled_runs are saved, too."""
    keep_imputed: Flag = True
    """Whether imputed values stay on the disk. With false they are deleted after their last score and figure, and a new score fits its runs again."""
    limits: Limits = Limits()
    report: Report = Report()
    pathvars: Pathvars = Pathvars()


def editors_schema() -> str:
    """Return the JSON schema of a config."""
    schema = json.dumps(Config.model_json_schema(), indent=1)
    return re.sub(r' *"default": null,\n', "", schema) + "\n"  # keys that may be left out


if __name__ == "__main__":
    EDITORS_SCHEMA.write_text(editors_schema(), encoding="utf-8")
