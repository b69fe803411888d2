# tables -> figures, report


# Cells of several views are laid out together: to import scanpy and umap-learn takes longer than to lay out one.
for number, views in enumerate(bench.laid_out_together, start=1):

    rule:
        name:
            f"project_{number}"
        input:
            files_of_projected_runs(views),
            files_of_first_views(views, "train.h5mu", "solution.h5mu"),
            generated=[
                f"{ANY.fit(*view, run, bench.seeds[0])}/run.json"
                for view, run in generated_runs(views)
            ],
            code=code_of_projecting(views),
        output:
            tables_of_projections(views),
            [directory(f"{ANY.projection(*view)}/virtual") for view in views],
        log:
            LOGS.at("project", number),
        benchmark:
            EXPENSES.at("project", number)
        priority: -1  # beside `tabulate`, which has no other company
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            runtime=minutes_of(10 + 10 * len(views)),
        params:
            views=views_and_projected_runs(views),
            seed=bench.seeds[0],
            generated=folders_of_generated_runs(views),
            projections=projections_folder,
        message:
            f"Lay out the query cells of {', '.join('/'.join(view) for view in views)}"
        shell:
            "python -m mosaicbench project {params.views:q} --seed {params.seed:q}"
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
            EXPENSES.at("draw", number)
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
            views=views_as_words(),
        message:
            f"Draw {', '.join(figures)}"
        shell:
            "python -m mosaicbench draw --figures {params.drawn:q} --tables {params.tables:q}"
            " --projections {params.projections:q} --display {input.display:q} --views {params.views:q}"
            " --output {params.figures:q} 2> {log:q}"


rule report:
    input:
        figures_of_views(),
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
        EXPENSES.at("report", "report")
    group:
        group_on_cluster
    conda:
        ENVIRONMENT
    params:
        tables=tables_folder,
        figures=figures_folder,
        results=subpath(output.report, parent=True),
        views=views_as_words(),
    message:
        "Write the report"
    shell:
        "python -m mosaicbench report --tables {params.tables:q} --figures {params.figures:q}"
        " --display {input.display:q} --config {input.config:q} --results {params.results:q}"
        " --views {params.views:q} --output {output.report:q} 2> {log:q}"
