# tables -> figures, report


rule project:
    input:
        latents_of_projected_runs,
        solution=expand(VIEW + "/solution.h5mu", seed=bench.seeds[0], allow_missing=True),
        code=code_of_verb("project"),
    output:
        "<results>/projections/{dataset}/{scenario}.tsv",
    log:
        "<logs>/project/{dataset}/{scenario}.log",
    params:
        runs=folders_of_projected_runs,
        seed=bench.seeds[0],
    conda:
        ENVIRONMENT
    threads: 1
    message:
        "Lay out the query cells of {wildcards.dataset}, {wildcards.scenario}"
    shell:
        "{MOSAICBENCH} project --runs {params.runs} --solution {input.solution} --seed {params.seed}"
        " --output {output} --threads {threads} 2> {log}"


for figure in catalog.names("figures"):

    rule:
        name:
            f"draw_{figure}"
        input:
            rules.tabulate.output,
            projections=[f"<results>/projections/{dataset}/{scenario}.tsv" for dataset, scenario in bench.views],
            display="config/display.yaml",
            code=code_of_verb("draw", catalog.module("figures", figure)),
        output:
            [f"<results>/figures/{place}{figure}.{form}" for place in figure_places(figure) for form in ("svg", "png", "tsv")],
        log:
            f"<logs>/draw/{figure}.log",
        params:
            figure=figure,
            tables=subpath(input[0], parent=True),
            figures=f"{bench.results}/figures",
            views=views_as_words(),
        conda:
            ENVIRONMENT
        localrule: True
        message:
            f"Draw {figure}"
        shell:
            "{MOSAICBENCH} draw --figure {params.figure} --tables {params.tables} --projections {input.projections}"
            " --display {input.display} --views {params.views} --output {params.figures} 2> {log}"


rule report:
    input:
        figures_of_views(),
        tables=rules.tabulate.output,
        config="<results>/config.json",
        record=applicable(RUN + "/seed-{seed}/run.json", seed=bench.seeds)[0],
        display="config/display.yaml",
        code=code_of_verb("report"),
    output:
        report="<results>/report.html",
    log:
        "<logs>/report.log",
    params:
        tables=f"{bench.results}/tables",
        figures=f"{bench.results}/figures",
        views=views_as_words(),
    conda:
        ENVIRONMENT
    localrule: True
    message:
        "Write the report"
    shell:
        "{MOSAICBENCH} report --tables {params.tables} --figures {params.figures} --display {input.display}"
        " --config {input.config} --record {input.record} --views {params.views} --output {output.report} 2> {log}"
