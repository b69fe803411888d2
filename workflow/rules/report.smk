# tables -> figures, LaTeX, report


# Cells of several views are laid out together: to import scanpy and umap-learn takes longer than to lay out one.
for number, views in enumerate(bench.laid_out_together, start=1):

    rule:
        name:
            f"project_{number}"
        input:
            files_of_projected_runs(views),
            files_of_first_views(views, "train.h5mu", "solution.h5mu"),
            query=if_imputed_again(files_of_first_views(views, "query.h5mu")),
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
            generated=folders_of_generated_runs(views),
            projections=projections_folder,
        message:
            f"Lay out the query cells of {', '.join('/'.join(view) for view in views)}"
        shell:
            "python -m mosaicbench --expenses {params.expenses:q} project {params.views:q} --seed {params.seed:q}"
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


rule typeset:
    input:
        rules.tabulate.output,
        display=of_project("config/display.yaml"),
        code=code_of_command("typeset"),
    output:
        f"{ANY.latex}/document.tex",
        expand(f"{ANY.latex}/{{view}}.tex", view=views_as_words()),
    log:
        LOGS.at("typeset"),
    group:
        group_on_cluster
    conda:
        ENVIRONMENT
    params:
        expenses=EXPENSES.at("typeset", "latex"),
        tables=subpath(input[0], parent=True),
        folder=subpath(output[0], parent=True),
        views=views_as_words(),
    message:
        "Write the tables as LaTeX"
    shell:
        "python -m mosaicbench --expenses {params.expenses:q} typeset --tables {params.tables:q} --display {input.display:q}"
        " --views {params.views:q} --output {params.folder:q} 2> {log:q}"


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
