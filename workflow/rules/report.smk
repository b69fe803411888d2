# run -> embeddings, figures; tables -> figures, report


rule embeddings:
    input:
        files_of_fits(
            bench.applicable,
            "run.json",
            "latents.h5ad",
            "train_latents.h5ad",
            seeds=bench.seeds[:1],
        ),
        [ANY.dataset(dataset) for dataset in bench.datasets],
        [f"{ANY.split(*split, bench.seeds[0])}/solution.h5mu" for split in bench.splits],
        code=code_of("embeddings"),
    output:
        [ANY.embeddings(*split) for split in bench.splits],
    log:
        LOGS.at("embeddings"),
    benchmark:
        RESOURCES.at("embeddings", "embeddings")
    conda:
        ENVIRONMENT
    params:
        job=job_of("embeddings"),
    message:
        "Join the embeddings of all runs"
    shell:
        "python -m mosaicbench embeddings {params.job:q} 2> {log:q}"


PICTURED = [*jobs.pictured(bench), *bench.config["report"]["sampled_runs"]]
RECOMMENDED = jobs.layout(bench, ANY)["recommendations"]


rule layout:
    input:
        files_of_fits(
            [place for place in bench.applicable if place[2] in PICTURED],
            *[file for file in layout.FILES_OF_FIT if file != "history.tsv"],
            seeds=bench.seeds[:1],
        ),
        [
            f"{ANY.split(*split, bench.seeds[0])}/{part}.h5mu"
            for split in bench.splits
            for part in ("train", "solution")
        ],
        RECOMMENDED or [],
        code=code_of("layout"),
    output:
        [
            f"{ANY.projection(*split)}/{table}.tsv"
            for split in bench.splits
            for table in layout.PROJECTIONS
        ],
        [directory(f"{ANY.projection(*split)}/virtual") for split in bench.splits],
    log:
        LOGS.at("layout"),
    benchmark:
        RESOURCES.at("layout", "projections")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=lambda wildcards, attempt: (10 + 10 * len(bench.splits)) * attempt,
    params:
        job=job_of("layout"),
    message:
        "Lay out the query cells of all splits"
    shell:
        "python -m mosaicbench layout {params.job:q} --threads {threads} 2> {log:q}"


rule draw:
    input:
        rules.tabulate.output,
        rules.layout.output,
        display=of_project("config/display.yaml"),
        code=code_of("draw"),
    output:
        [report(file, **about) if about else file for file, about in jobs.reported_figures(bench)],
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
        job=job_of("draw"),
    message:
        "Draw all figures"
    shell:
        "python -m mosaicbench draw {params.job:q} 2> {log:q}"


rule report:
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
    conda:
        ENVIRONMENT
    params:
        job=job_of("report"),
    message:
        "Write the report"
    shell:
        "python -m mosaicbench report {params.job:q} 2> {log:q}"
