# tables -> figures, report


# Cells of several views are laid out together: to import scanpy and umap-learn takes longer than to lay out one.
for number, views in enumerate(bench.laid_out_together, start=1):

    rule:
        name:
            f"project_{number}"
        input:
            files_of_projected_runs(views),
            files_of_first_views(views, "train.h5mu", "solution.h5mu"),
            query=if_imputed_again(files_of_first_views(views, "query.h5mu")),
            code=code_of_command("project"),
        output:
            tables_of_projections(views),
        log:
            LOGS.at("project", number),
        priority: -1  # beside `tabulate`, which has no other company
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            runtime=minutes_of_projecting(views),
        params:
            expenses=EXPENSES.at("project", number),
            views=views_and_projected_runs(views),
            seed=bench.seeds[0],
            projections=projections_folder,
        message:
            f"Lay out the query cells of {', '.join('/'.join(view) for view in views)}"
        shell:
            "python -m mosaicbench --expenses {params.expenses:q} project {params.views:q} --seed {params.seed:q}"
            " --output {params.projections:q} --threads {threads} 2> {log:q}"


rule generate:
    input:
        records_of_generated_runs,
        train=first_view("train.h5mu"),
        solution=first_view("solution.h5mu"),
        code=code_of_generated_runs,
    output:
        expand(
            f"{ANY.projection(*OF_VIEW)}/{{table}}.tsv", table=layout.VIRTUAL, allow_missing=True
        ),
        cells=directory(ANY.generated(*OF_VIEW)),
    log:
        LOGS.of_view("generate", *OF_VIEW),
    priority: -1  # beside `tabulate`, which has no other company
    conda:
        ENVIRONMENT
    threads: 1
    params:
        expenses=EXPENSES.of_view("generate", *OF_VIEW),
        runs=folders_of_generated_runs,
        seed=bench.seeds[0],
        view=folder_of_first_view,
        tables=subpath(output[0], parent=True),
    message:
        "Generate cells of {wildcards.dataset}, {wildcards.scenario}"
    shell:
        "python -m mosaicbench --expenses {params.expenses:q} generate --runs {params.runs:q} --view {params.view:q}"
        " --seed {params.seed:q} --output {output.cells:q} --tables {params.tables:q} --threads {threads} 2> {log:q}"


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
        group:
            group_on_cluster
        conda:
            ENVIRONMENT
        resources:
            runtime=minutes_of_drawing,
        params:
            expenses=EXPENSES.at("draw", number),
            drawn=figures,
            tables=subpath(input[0], parent=True),
            projections=projections_folder,
            figures=figures_folder,
            views=views_as_words(),
        message:
            f"Draw {', '.join(figures)}"
        shell:
            "python -m mosaicbench --expenses {params.expenses:q} draw --figures {params.drawn:q} --tables {params.tables:q}"
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
    group:
        group_on_cluster
    conda:
        ENVIRONMENT
    params:
        expenses=EXPENSES.at("report", "report"),
        tables=tables_folder,
        figures=figures_folder,
        results=subpath(output.report, parent=True),
        views=views_as_words(),
    message:
        "Write the report"
    shell:
        "python -m mosaicbench --expenses {params.expenses:q} report --tables {params.tables:q} --figures {params.figures:q}"
        " --display {input.display:q} --config {input.config:q} --results {params.results:q}"
        " --views {params.views:q} --output {output.report:q} 2> {log:q}"
