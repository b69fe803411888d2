"""The keys of a config: their types, ranges and defaults. config/README.md explains them with examples.

The text below a key describes it in the JSON schema that editors read.
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
from mosaicbench.errors import nearest
from mosaicbench.workflow import layout

EDITORS_SCHEMA = layout.project_file("workflow/schemas/config.schema.json")
LARGEST_SEED = 2**32 - 1  # of NumPy
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{,99}")
FOLDER = re.compile(r"[\w./+@%=,~][\w./+@%=,~-]*")
ALL, MEAN = "all", "mean"  # the defaults of tuning.runs and tuning.objective
BEST_OF_SPLIT = "best"  # in `keep`, all runs that may have the best overall score of a split
DEFAULT_SCENARIOS = {"paired": {"kind": "paired"}, "unpaired": {"kind": "unpaired"}}
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
    "as_measured": "a natural scenario hides nothing",
}


def _as_given(value: object, check: Callable) -> object:
    """Check a number and keep a whole one whole, as it is recorded."""
    check(value)
    return value


def distinct(values: list) -> list:
    """Refuse a list that has something twice."""
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice")
    return values


def _truth(value: object) -> object:
    """Return true or false also for their texts: Snakemake makes these of ``--config keep_imputed=true``."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _names_a_folder(name: str) -> str:
    if name == "NA":
        raise ValueError("'NA' is how tables say that a number is missing; choose another name")
    if not FOLDER_NAME.fullmatch(name):
        raise ValueError(
            f"{name[:120]!r} becomes a folder's name; use letters, digits, '_', '-' and '.' only, at most 100 of them, and a "
            "letter or digit first"
        )
    return name


def _names_a_dataset(name: str) -> str:
    if name == "all_datasets":
        raise ValueError(f"{name!r} is the folder of tables over all datasets; choose another name")
    return _names_a_folder(name)


def _folder(path: str) -> str:
    if not FOLDER.fullmatch(path):
        raise ValueError(
            f"{path!r} is not possible: it is part of commands, so use letters, digits and . / _ - + @ % = , ~ alone, and no - first"
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
    """What the table's cell names lack at their end."""
    remove: str = LEFT_OUT
    """What the table's cell names have too much at their end."""


class Thresholds(Strict):
    """What a cell must meet in one modality."""

    min_features: Limit = LEFT_OUT
    max_features: Limit = LEFT_OUT
    min_counts: Limit = LEFT_OUT
    max_counts: Limit = LEFT_OUT
    max_mito: Fraction = LEFT_OUT
    """Share of a cell's counts in mitochondrial genes."""
    min_cells: Count = LEFT_OUT
    """Cells that a feature must be present in, of those that are kept."""


class Association(Strict):
    """The features most and least associated with one cell type."""

    cell_type: Text
    """The type that is compared with all others."""
    relevant: dict[Text, Count] = LEFT_OUT
    """Modality -> number of features."""
    irrelevant: dict[Text, Count] = LEFT_OUT
    """Modality -> number of features."""


class Dataset(Strict):
    """The keys that every dataset may have; the others are its loader's."""

    model_config = ConfigDict(extra="allow")

    source: Text = Field(LEFT_OUT, alias="from")
    """Another entry of config/datasets.yaml, which this one completes."""
    loader: Text = LEFT_OUT
    """What reads the files (`mosaicbench list datasets`)."""
    labels: Labels | None = None
    labels_from: Names = LEFT_OUT
    """The modalities that the cell types were derived from, such as [rna, adt]; [] for none."""
    qc: dict[Text, Thresholds] | None = None
    """Modality -> thresholds that a cell must meet."""
    association: Association | None = None


class GroupSplit(Strict):
    """Whole batches, donors or wells become the query, instead of a random share of the cells."""

    by: Text
    """A column of the dataset, such as batch or donor."""
    held_out: Annotated[list[Text | int], MinLen(1), AfterValidator(distinct)] = LEFT_OUT
    """The groups that become the query; left out, the seed chooses one."""


class Labelled(Strict):
    """Few train cells show their cell type, all of one batch; no cell of the query does."""

    fraction: Fraction
    """Cells with a label, of all train cells; 0 shows no label."""
    min_per_type: Count = LEFT_OUT
    """Cells of every type that show it, as far as the batch has them; 1."""
    batch: Text = LEFT_OUT
    """The batch; left out, the seed draws one."""


class PreprocessProteins(Strict):
    """Options for proteins; every kind of modality has them."""

    standardise: bool = LEFT_OUT
    """Whether values are divided by their standard deviation over train cells, and clipped to 10 of them."""
    fit_on: Literal["train", "all"] = LEFT_OUT
    """The cells that the transform is learned from; all, query cells included, is a leak, for comparison."""


class PreprocessRNA(PreprocessProteins):
    """Options for RNA."""

    features: Annotated[int, Ge(2)] = LEFT_OUT
    """Most highly variable genes."""


class PreprocessATAC(PreprocessProteins):
    """Options for ATAC."""

    features: Annotated[int, Ge(2)] = LEFT_OUT
    """Peaks open in most train cells."""
    components: AtLeastOne = LEFT_OUT
    """LSI components after the depth component."""
    transform: Literal["lsi", "raw_svd", "residuals"] = LEFT_OUT
    """What is decomposed: TF-IDF (lsi), counts (raw_svd), or residuals of a Poisson model."""
    out_of_fold: bool = LEFT_OUT
    """Whether train cells get the coordinates of a decomposition that they had no part in, as query cells do."""


class PreprocessContinuous(PreprocessProteins):
    """Options for other values."""

    features: AtLeastOne = LEFT_OUT
    """Features of largest variance."""


class Preprocess(Strict):
    """Kind of modality -> options of its preprocessing, fitted on train cells."""

    rna: PreprocessRNA = LEFT_OUT
    atac: PreprocessATAC = LEFT_OUT
    adt: PreprocessProteins = LEFT_OUT
    continuous: PreprocessContinuous = LEFT_OUT


class Scenario(Strict):
    """How pairing is hidden."""

    kind: Literal["paired", "unpaired", "mosaic", "as_measured"]
    """Train cells have all modalities (paired), one each (unpaired), some more than others (mosaic), or all as measured (natural)."""
    query_fraction: Part = 0.2
    """Share of the cells that no method trains on, stratified by cell type."""
    split: GroupSplit = LEFT_OUT
    label_subset: Labelled = LEFT_OUT
    paired_fraction: Fraction = LEFT_OUT
    """Mosaic: this share of the train cells has all modalities, the rest one each."""
    blocks: Annotated[list[OneOrMore], MinLen(1)] = LEFT_OUT
    """Mosaic: the modalities of each block of train cells, instead of paired_fraction."""
    fractions: list[Annotated[float, Gt(0)]] = LEFT_OUT
    """Mosaic: relative sizes of the blocks, equal if left out."""
    balanced: bool = LEFT_OUT
    """Unpaired and mosaic: hidden cell types balance which train cells are measured in what (true if left out)."""
    imbalance: Annotated[dict[Text, OneOrMore], MinLen(1)] = LEFT_OUT
    """Unpaired and mosaic: modality -> cell types that it lacks among the train cells."""
    corrupted_links: Fraction = LEFT_OUT
    """Share of the links between chosen features that are replaced by wrong ones, drawn by the seed."""
    preprocess: Preprocess = LEFT_OUT
    """Options of preprocessing in this scenario, beside those of the key preprocess."""
    datasets: OneOrMore = LEFT_OUT
    """The datasets that the scenario is for, all if left out."""
    runs: OneOrMore = LEFT_OUT
    """The runs that take part in the scenario, if their methods can; all if left out."""

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
            raise ValueError("one number for each of the blocks was expected")
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
    """Most epochs; tables name a run that this limit stopped."""
    patience: AtLeastOne = 30
    """Epochs without a lower validation cost (a mean over 5) before stopping."""
    batch_size: AtLeastOne = 128
    """Cells per step."""


class Tuning(Strict):
    """Beside each of some runs, the same run with settings that were searched for on its train cells, NAME-tuned."""

    trials: Annotated[int, Ge(1), Le(10_000)] = 20
    """Fits of the search of each run and split, the defaults included; as many for every method."""
    runs: Literal["all"] | OneOrMore = ALL
    """All runs whose methods have something to search, or a list of them."""
    objective: Text = MEAN
    """What is best on the inner query: mean (of the scaled scores of alignment, label transfer and imputation) or a metric's id."""
    fraction: Part = 0.2
    """Share of the train cells that become the inner query."""
    seed: Seed = 0
    """Of the division of the train cells, and of the search."""
    per_seed: bool = False
    """Search anew on the train cells of every seed; else those of the first seed decide for all."""


def _group(name: str) -> str:
    if name not in cards.GROUPS:
        raise ValueError(f"{name!r} is not possible{nearest(name, cards.GROUPS)}")
    return name


GROUP = Field(json_schema_extra={"enum": list(cards.GROUPS)})


class Metrics(Strict):
    """What the runs are scored by."""

    groups: Annotated[
        list[Annotated[Text, AfterValidator(_group), GROUP]], MinLen(1), AfterValidator(distinct)
    ] = Field(["alignment", "label_transfer", "imputation", "sanity", "reference", "resources"])
    """Groups of metrics (`mosaicbench list metrics`); published_variants are for comparison with published numbers only."""


class Limits(Strict):
    """What one run may use before it is stopped and becomes a row with its status."""

    minutes: Annotated[Positive, Le(525_600)] = 120
    """Wall-clock minutes of one run."""
    memory_mb: Annotated[Positive, Le(1e9)] = 16_000
    """Memory of one run in MB."""


class Sweep(Strict):
    """A quantity that datasets, scenarios or runs differ in, and the scores to draw against it."""

    label: str
    """What the quantity is called."""
    log: bool = False
    """Whether its axis is logarithmic."""
    metrics: Annotated[dict[str, OneOrMore | None], MinLen(1)]
    """Metric -> the directions or sources to draw, each in its own panel; null for the mean over them."""
    series: Annotated[dict[Text, Annotated[dict[str, Number], MinLen(2)]], MinLen(1)]
    """Name of a series -> id of a dataset, scenario or run -> the quantity's value."""


class Report(Strict):
    """Choices for the tables and figures."""

    umap_runs: FewRuns = LEFT_OUT
    """Runs whose query cells are drawn (UMAP, clusters, confusion, imputed values), at most 4; default the first models."""
    sampled_runs: FewRuns = []
    """VAEs from whose priors virtual cells are drawn and compared with real ones, in every split."""
    reference_run: Text | None = None
    """Run that every other is tested against, beside the best and the baseline linear; null names no other."""
    sweep: Sweep | None = None


class Pathvars(Strict):
    """Where results, logs and raw data (resources) go (Snakemake's own key)."""

    results: Folder = LEFT_OUT
    resources: Folder = LEFT_OUT
    logs: Folder = LEFT_OUT


class Config(Strict):
    """Which datasets, scenarios, runs and seeds. config/README.md explains every key with examples."""

    datasets: Annotated[
        dict[Annotated[str, AfterValidator(_names_a_dataset)], Dataset | None], MinLen(1)
    ]
    """Dataset id -> stanza; an id of config/datasets.yaml, or your own data with a `path`."""
    registry: Text | None = None
    """The file with the addresses of datasets, relative to the working directory; null for config/datasets.yaml."""
    scenarios: Annotated[dict[Id, Scenario], MinLen(1)] = Field(DEFAULT_SCENARIOS)
    """Scenario id -> how pairing is hidden."""
    runs: Annotated[dict[Id, dict[str, Any] | None], MinLen(1)] = Field(
        {name: {} for name in DEFAULT_RUNS}
    )
    """Run id -> stanza: `method` (default the run's own id) and hyperparameters of that method; or `latents` and `imputed`, files of a result that was computed elsewhere."""
    seeds: Annotated[list[Seed], MinLen(1), AfterValidator(distinct)] = [0, 1, 2]
    """Replicates of the whole experiment; each drives split, initialisation and minibatches."""
    training: Training = Training()
    tuning: Tuning | None = None
    preprocess: Preprocess = Preprocess()
    metrics: Metrics = Metrics()
    save_models: Names = [BEST_OF_SPLIT]
    """Runs whose fitted models are kept with them, for `mosaicbench apply`; `best` are all models and baselines of this project, with the first seed: the best run is among them; those of report.sampled_runs are kept, too."""
    keep_imputed: Flag = True
    """Whether runs keep the values that they imputed; with false, they are deleted once the last score or picture of them is done, and every score that is made again fits its runs again."""
    limits: Limits = Limits()
    report: Report = Report()
    pathvars: Pathvars = Pathvars()


def editors_schema() -> str:
    """Return the JSON schema of a config."""
    schema = json.dumps(Config.model_json_schema(), indent=1)
    return re.sub(r' *"default": null,\n', "", schema) + "\n"  # of a key that may be left out


if __name__ == "__main__":
    EDITORS_SCHEMA.write_text(editors_schema(), encoding="utf-8")
