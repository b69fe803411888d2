# What the rules from tables to figures and report need to know.


def tables_folder(wildcards):
    return RESULTS.tables


def figures_folder(wildcards):
    return RESULTS.figures


def projections_folder(wildcards):
    return RESULTS.projections


def splits_as_words():
    return [f"{dataset}/{scenario}" for dataset, scenario in bench.splits]


def existing_runs(split, runs):
    exist = {run for *place, run in bench.applicable if tuple(place) == split}
    return [run for run in runs if run in exist]


def umap_runs(splits):
    """Pairs of a split and a run of which pictures of cells are made."""
    return [(split, run) for split in splits for run in existing_runs(split, bench.projected)]


def sampled_runs(splits):
    """Pairs of a split and a run of which virtual cells are drawn."""
    asked = bench.config["report"]["sampled_runs"]
    return [(split, run) for split in splits for run in existing_runs(split, asked)]


def files_of_projected_runs(splits):
    files = ["latents.h5ad", "train_latents.h5ad", "imputed.h5mu", "run.json"]
    return [
        f"{ANY.fit(*split, run, bench.seeds[0])}/{file}"
        for split, run in umap_runs(splits)
        for file in files
    ]


def files_of_first_splits(splits, *files):
    return [f"{ANY.split(*split, bench.seeds[0])}/{file}" for split in splits for file in files]


def splits_and_projected_runs(splits):
    """Of every split the words that `project` reads: its folder, and those of its runs."""

    def words(wildcards):
        found = []
        for split in splits:
            runs = [RESULTS.fit(*split, run, bench.seeds[0]) for _, run in umap_runs([split])]
            found += ["--split", RESULTS.split(*split, bench.seeds[0]), *runs]
        return found

    return words


def folders_of_generated_runs(splits):
    return lambda wildcards: [
        RESULTS.fit(*split, run, bench.seeds[0]) for split, run in sampled_runs(splits)
    ]


def tables_of_projections(splits):
    return [
        f"{ANY.projection(*split)}/{table}.tsv" for split in splits for table in layout.PROJECTIONS
    ]


def code_of_projecting(splits):
    methods = {bench.runs[run].method for _, run in sampled_runs(splits)}
    return code_of_command(
        "layout", *(catalog.module("methods", name) for name in sorted(methods))
    )


def parts_of_pages():
    """Templates, style and scripts: they stand inside a page and are no Python."""
    folder = layout.PACKAGE / "report/page"
    files = [
        file for pattern in ("*.j2", "assets/*.css", "assets/*.js") for file in folder.glob(pattern)
    ]
    return [of_package(file) for file in sorted(files)]


def figures_of_splits():
    """Every file of every figure: drawn once per split, or once over all splits."""
    return [
        f"{ANY.figures}/{place}{figure}.{form}"
        for figure in bench.figures
        for place in figure_places(figure)
        for form in ("svg", "png", "tsv")
    ]


def files_of_figure(figure):
    """What one figure's job writes; pictures and their numbers also stand in the report of `snakemake --report`."""
    files = []
    for place in figure_places(figure):
        split = ", ".join(Path(place).parts) or "all datasets"
        about = {"category": "Figures", "subcategory": split, "caption": f"../report/{figure}.rst"}
        for form in ("svg", "tsv"):
            labels = {
                "figure": catalog.card("figures", figure)["label"],
                "shown as": "picture" if form == "svg" else "table",
            }
            files.append(report(f"{ANY.figures}/{place}{figure}.{form}", labels=labels, **about))
        files.append(f"{ANY.figures}/{place}{figure}.png")
    return files


def projections_of_figures(figures):
    """Those of the tables that `project` writes which the figures ask for, of every split."""
    asked = {name for figure in figures for name in catalog.parameters("figures", figure)}
    needed = [table for table in layout.PROJECTIONS if table in asked]
    return [f"{ANY.projection(*split)}/{table}.tsv" for split in bench.splits for table in needed]


def figure_places(figure):
    if catalog.card("figures", figure)["per"] == "all":
        return [""]
    return [f"{dataset}/{scenario}/" for dataset, scenario in bench.splits]


def alarms():
    """What `tabulate` found of controls that are not where theory puts them."""
    table = Path(RESULTS.table("sanity_checks"))
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["check"] == "control"]
    return [
        f"ALARM: {row['dataset']}, {row['scenario']}: {row['run']}, {row['metric']}: {row['message']}"
        for row in rows
    ]
