# run -> projections; tables, projections -> figures, report

PICTURED = [*jobs.pictured(bench), *bench.config["report"]["sampled_runs"]]


rule layout:
    input:
        files_of_fits(
            [place for place in bench.applicable if place[2] in PICTURED],
            *[file for file in layout.FILES_OF_FIT if file != "history.tsv"],
            seeds=bench.seeds[:1],
        ),
        parts_of_splits("train", "solution"),
        jobs.layout(bench, ANY)["recommendations"] or [],
        code=code_of("layout"),
    output:
        expand("{folder}/{table}.tsv", folder=PROJECTIONS, table=layout.PROJECTIONS),
        [directory(f"{folder}/virtual") for folder in PROJECTIONS],
    log:
        LOGS.at("layout"),
    benchmark:
        RESOURCES.at("layout", "projections")
    conda:
        ENVIRONMENT
    threads: min(4, len(bench.splits))
    resources:
        runtime=lambda wildcards, attempt: (10 + 10 * len(bench.splits)) * attempt,
    params:
        job=step_of("layout"),
    message:
        "Lay out the query cells of all splits"
    shell:
        "python -m mosaicbench {params.job:q} --threads {threads} 2> {log:q}"


use rule layout as draw with:
    input:
        rules.tabulate.output,
        rules.layout.output,
        display=of_project("config/display.yaml"),
        code=code_of("draw"),
    output:
        jobs.files_of_figures(bench),
    log:
        LOGS.at("draw"),
    benchmark:
        RESOURCES.at("draw", "figures")
    group:
        group_on_cluster
    resources:
        runtime=lambda wildcards, attempt: (20 + 5 * len(bench.splits)) * attempt,
    params:
        job=step_of("draw"),
    message:
        "Draw all figures"


use rule embeddings as report with:
    input:
        rules.draw.output,
        files_of_fits(bench.applicable, "run.json"),
        tables=rules.tabulate.output,
        display=of_project("config/display.yaml"),
        code=code_of("report"),
    output:
        report=ANY.report,
        citations=ANY.citations,
    log:
        LOGS.at("report"),
    benchmark:
        RESOURCES.at("report", "report")
    group:
        group_on_cluster
    params:
        job=step_of("report"),
    message:
        "Write the report"
