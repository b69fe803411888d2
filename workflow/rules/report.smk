# tables -> figures, report


# Cells of several splits are laid out together: to import scanpy and umap-learn takes longer than to lay out one.
for number, splits in enumerate(bench.laid_out_together, start=1):

    rule:
        name:
            f"project_{number}"
        input:
            files_of_projected_runs(splits),
            files_of_first_splits(splits, "train.h5mu", "solution.h5mu"),
            generated=[
                f"{ANY.fit(*split, run, bench.seeds[0])}/run.json"
                for split, run in sampled_runs(splits)
            ],
            code=code_of_projecting(splits),
        output:
            tables_of_projections(splits),
            [directory(f"{ANY.projection(*split)}/virtual") for split in splits],
        log:
            LOGS.at("layout", number),
        benchmark:
            RESOURCES.at("layout", number)
        priority: -1  # beside `tabulate`, which has no other company
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            runtime=minutes_of(10 + 10 * len(splits)),
        params:
            splits=splits_and_projected_runs(splits),
            seed=bench.seeds[0],
            generated=folders_of_generated_runs(splits),
            projections=projections_folder,
        message:
            f"Lay out the query cells of {', '.join('/'.join(split) for split in splits)}"
        shell:
            "python -m mosaicbench layout {params.splits:q} --seed {params.seed:q}"
            " --generate {params.generated:q} --output {params.projections:q} --threads {threads} 2> {log:q}"


# Figures are drawn together, four or fewer to a job.
for number, figures in enumerate(bench.drawn_together, start=1):

    rule:
        name:
            f"draw_{number}"
        input:
            rules.tabulate.output,
            projections=projections_of_figures(figures),
            display=of_project("config/display.yaml"),
            code=code_of_command("draw", *(catalog.module("figures", figure) for figure in figures)),
        output:
            [file for figure in figures for file in files_of_figure(figure)],
        log:
            LOGS.at("draw", number),
        benchmark:
            RESOURCES.at("draw", number)
        group:
            group_on_cluster
        conda:
            ENVIRONMENT
        resources:
            runtime=minutes_of(20),
        params:
            drawn=figures,
            tables=subpath(input[0], parent=True),
            projections=projections_folder,
            figures=figures_folder,
            splits=splits_as_words(),
        message:
            f"Draw {', '.join(figures)}"
        shell:
            "python -m mosaicbench draw --figures {params.drawn:q} --tables {params.tables:q}"
            " --projections {params.projections:q} --display {input.display:q} --splits {params.splits:q}"
            " --output {params.figures:q} 2> {log:q}"


rule report:
    input:
        figures_of_splits(),
        applicable(f"{FIT}/run.json", seed=bench.seeds),
        tables=rules.tabulate.output,
        config=ANY.config,
        display=of_project("config/display.yaml"),
        code=code_of_command("report"),
        pages=parts_of_pages(),
    output:
        report=ANY.report,
        citations=ANY.citations,
    log:
        LOGS.at("report"),
    benchmark:
        RESOURCES.at("report", "report")
    group:
        group_on_cluster
    conda:
        ENVIRONMENT
    params:
        tables=tables_folder,
        figures=figures_folder,
        results=subpath(output.report, parent=True),
        splits=splits_as_words(),
    message:
        "Write the report"
    shell:
        "python -m mosaicbench report --tables {params.tables:q} --figures {params.figures:q}"
        " --display {input.display:q} --config {input.config:q} --results {params.results:q}"
        " --splits {params.splits:q} --output {output.report:q} 2> {log:q}"
