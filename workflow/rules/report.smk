# tables -> figures, report


rule layout:
    input:
        files_of_fits(
            [place for place in bench.applicable if place[2] in bench.projected],
            "latents.h5ad",
            "train_latents.h5ad",
            "imputed.h5mu",
            "run.json",
            seeds=bench.seeds[:1],
        ),
        files_of_fits(SAMPLED, "run.json", seeds=bench.seeds[:1]),
        expand(
            "{split}/{part}.h5mu",
            split=[ANY.split(*split, bench.seeds[0]) for split in bench.splits],
            part=["train", "solution"],
        ),
        config=ancient(ANY.config),
        code=code_of_command(
            "layout",
            *sorted({catalog.module("methods", bench.runs[place[2]].method) for place in SAMPLED}),
        ),
    output:
        expand("{split}/{table}.tsv", split=PROJECTIONS, table=layout.PROJECTIONS),
        [directory(f"{split}/virtual") for split in PROJECTIONS],
    log:
        LOGS.at("layout"),
    benchmark:
        RESOURCES.at("layout", "projections")
    priority: -1  # beside `tabulate`, which has no other company
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=lambda wildcards, attempt: (10 + 10 * len(bench.splits)) * attempt,
    params:
        settings=settings_of("layout"),
    message:
        "Lay out the query cells of all splits"
    shell:
        "python -m mosaicbench layout --config {input.config:q} --settings {params.settings:q}"
        " --threads {threads} 2> {log:q}"


rule draw:
    input:
        rules.tabulate.output,
        rules.layout.output,
        config=ancient(ANY.config),
        display=of_project("config/display.yaml"),
        code=code_of_command("draw", *(catalog.module("figures", name) for name in bench.figures)),
    output:
        files_of_figures(),
    log:
        LOGS.at("draw"),
    benchmark:
        RESOURCES.at("draw", "figures")
    group:
        group_on_cluster
    conda:
        ENVIRONMENT
    resources:
        runtime=lambda wildcards, attempt: (20 + 5 * len(bench.splits)) * attempt,
    params:
        settings=settings_of("draw"),
    message:
        "Draw all figures"
    shell:
        "python -m mosaicbench draw --config {input.config:q} --settings {params.settings:q} 2> {log:q}"


rule report:
    input:
        rules.draw.output,
        files_of_fits(bench.applicable, "run.json"),
        tables=rules.tabulate.output,
        config=ANY.config,
        display=of_project("config/display.yaml"),
        code=code_of_command("report"),
        pages=[*in_package("report/page/*.j2"), *in_package("report/page/assets/*.[cj]s*")],
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
    message:
        "Write the report"
    shell:
        "python -m mosaicbench report --config {input.config:q} 2> {log:q}"
