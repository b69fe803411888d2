# tables -> figures, LaTeX, report


rule project:
    input:
        files_of_projected_runs,
        train=expand("<results>/views/{dataset}/{scenario}/seed-{seed}/train.h5mu", seed=bench.seeds[0], allow_missing=True),
        solution=expand(
            "<results>/views/{dataset}/{scenario}/seed-{seed}/solution.h5mu", seed=bench.seeds[0], allow_missing=True
        ),
        code=code_of_command("project"),
    output:
        expand("<results>/projections/{dataset}/{scenario}/{table}.tsv", table=PROJECTIONS, allow_missing=True),
    log:
        "<logs>/project/{dataset}/{scenario}.log",
    benchmark:
        "<results>/benchmarks/project/{dataset}/{scenario}.tsv"
    priority: -1  # beside `tabulate`, which has no other company
    conda:
        ENVIRONMENT
    threads: 1
    params:
        runs=folders_of_projected_runs,
        seed=bench.seeds[0],
        folder=subpath(output[0], parent=True),
    message:
        "Lay out the query cells of {wildcards.dataset}, {wildcards.scenario}"
    shell:
        "python -m mosaicbench project --runs {params.runs} --train {input.train} --solution {input.solution}"
        " --seed {params.seed} --output {params.folder} --threads {threads} 2> {log}"


rule generate:
    input:
        records_of_generated_runs,
        train=expand("<results>/views/{dataset}/{scenario}/seed-{seed}/train.h5mu", seed=bench.seeds[0], allow_missing=True),
        solution=expand(
            "<results>/views/{dataset}/{scenario}/seed-{seed}/solution.h5mu", seed=bench.seeds[0], allow_missing=True
        ),
        code=code_of_generated_runs,
    output:
        expand("<results>/projections/{dataset}/{scenario}/{table}.tsv", table=VIRTUAL, allow_missing=True),
        cells=directory("<results>/generated/{dataset}/{scenario}"),
    log:
        "<logs>/generate/{dataset}/{scenario}.log",
    benchmark:
        "<results>/benchmarks/generate/{dataset}/{scenario}.tsv"
    priority: -1  # beside `tabulate`, which has no other company
    conda:
        ENVIRONMENT
    threads: 1
    params:
        runs=folders_of_generated_runs,
        seed=bench.seeds[0],
        view=folder_of_first_view,
        tables=subpath(output[0], parent=True),
    message:
        "Generate cells of {wildcards.dataset}, {wildcards.scenario}"
    shell:
        "python -m mosaicbench generate --runs {params.runs} --view {params.view} --seed {params.seed}"
        " --output {output.cells} --tables {params.tables} --threads {threads} 2> {log}"


for figure in bench.figures:

    rule:
        name:
            f"draw_{figure}"
        input:
            rules.tabulate.output,
            projections=projections_of_figure(figure),
            display="config/display.yaml",
            code=code_of_command("draw", catalog.module("figures", figure)),
        output:
            files_of_figure(figure),
        log:
            f"<logs>/draw/{figure}.log",
        benchmark:
            f"<results>/benchmarks/draw/{figure}.tsv"
        group:
            group_on_cluster
        conda:
            ENVIRONMENT
        resources:
            runtime=minutes_of_drawing,
        params:
            figure=figure,
            tables=subpath(input[0], parent=True),
            projections=projections_folder,
            figures=figures_folder,
            views=views_as_words(),
        message:
            f"Draw {figure}"
        shell:
            "python -m mosaicbench draw --figure {params.figure} --tables {params.tables} --projections {params.projections}"
            " --display {input.display} --views {params.views} --output {params.figures} 2> {log}"


rule typeset:
    input:
        rules.tabulate.output,
        display="config/display.yaml",
        code=code_of_command("typeset"),
    output:
        "<results>/tables/latex/document.tex",
        expand("<results>/tables/latex/{view}.tex", view=views_as_words()),
    log:
        "<logs>/typeset.log",
    benchmark:
        "<results>/benchmarks/typeset/latex.tsv"
    group:
        group_on_cluster
    conda:
        ENVIRONMENT
    params:
        tables=subpath(input[0], parent=True),
        folder=subpath(output[0], parent=True),
        views=views_as_words(),
    message:
        "Write the tables as LaTeX"
    shell:
        "python -m mosaicbench typeset --tables {params.tables} --display {input.display} --views {params.views}"
        " --output {params.folder} 2> {log}"


rule report:
    input:
        figures_of_views(),
        applicable("<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/run.json", seed=bench.seeds),
        tables=rules.tabulate.output,
        config="<results>/config.json",
        display="config/display.yaml",
        code=code_of_command("report"),
        pages=parts_of_pages(),
    output:
        report="<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<results>/benchmarks/report/report.tsv"
    group:
        group_on_cluster
    conda:
        ENVIRONMENT
    params:
        tables=tables_folder,
        figures=figures_folder,
        runs=runs_folder,
        views=views_as_words(),
    message:
        "Write the report"
    shell:
        "python -m mosaicbench report --tables {params.tables} --figures {params.figures} --display {input.display}"
        " --config {input.config} --runs {params.runs} --views {params.views} --output {output.report} 2> {log}"
