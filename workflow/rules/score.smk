# run + solution -> scores -> tables

TABLES = ["scores", "features", "runs", "comparison", "headline", "overview", "paired_tests", "ranks", "overall", "gates", "published"]

rule score:
    input:
        expand(RUN + "/seed-{seed}/{file}", file=["latents.h5ad", "imputed.h5mu"], seed=bench.seeds, allow_missing=True),
        expand(VIEW + "/{file}.h5mu", file=["train", "solution"], seed=bench.seeds, allow_missing=True),
        records=expand(RUN + "/seed-{seed}/run.json", seed=bench.seeds, allow_missing=True),
        code=code_of_verb("score", *metric_modules()),
    output:
        scores=RUN + "/scores.tsv",
        features=RUN + "/features.tsv",
        cells=RUN + "/cells.npz",
    log:
        "<logs>/score/{dataset}/{scenario}/{run}.log",
    params:
        runs=folders_of_runs,
        views=folders_of_views,
    conda:
        ENVIRONMENT
    threads: 1
    message:
        "Score {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}"
    shell:
        "{MOSAICBENCH} score --runs {params.runs} --views {params.views}"
        " --scores {output.scores} --features {output.features} --cells {output.cells} --threads {threads} 2> {log}"


rule record_config:
    output:
        "<results>/config.json",
    log:
        "<logs>/record_config.log",
    params:
        config=as_json(bench.config),
    conda:
        ENVIRONMENT
    localrule: True
    message:
        "Record the config, with every default filled in"
    shell:
        "printf '%s\\n' {params.config:q} > {output} 2> {log}"


rule tabulate:
    input:
        applicable(RUN + "/scores.tsv"),
        applicable(RUN + "/features.tsv"),
        applicable(RUN + "/cells.npz"),
        applicable(RUN + "/seed-{seed}/run.json", seed=bench.seeds),
        config="<results>/config.json",
        published="config/published.yaml",
        code=code_of_verb("tabulate"),
    output:
        expand("<results>/tables/{table}.tsv", table=TABLES),
    log:
        "<logs>/tabulate.log",
    params:
        folder=subpath(output[0], parent=True),
        runs=f"{bench.results}/runs",
    conda:
        ENVIRONMENT
    localrule: True
    message:
        "Join the scores into tables"
    shell:
        "{MOSAICBENCH} tabulate --config {input.config} --runs {params.runs} --published {input.published}"
        " --output {params.folder} 2> {log}"
