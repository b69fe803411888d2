# run + solution -> scores -> tables


rule score:
    input:
        files_of_runs("{run}"),
        files_of_views("train.h5mu"),
        files_of_views("solution.h5mu"),
        code=code_of_command("score", *metric_modules()),
    output:
        scores="<results>/runs/{dataset}/{scenario}/{run}/scores.tsv",
        features="<results>/runs/{dataset}/{scenario}/{run}/features.tsv",
        cells="<results>/runs/{dataset}/{scenario}/{run}/cells.npz",
    log:
        "<logs>/score/{dataset}/{scenario}/{run}.log",
    benchmark:
        "<results>/benchmarks/score/{dataset}/{scenario}/{run}.tsv"
    wildcard_constraints:
        run=any_of([run for run in bench.runs if run not in bench.common_controls]),
    conda:
        ENVIRONMENT
    threads: 1
    params:
        runs=folders_of_runs,
        views=folders_of_views,
        groups=bench.groups,
    message:
        "Score {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}"
    shell:
        "python -m mosaicbench score --runs {params.runs} --views {params.views} --groups {params.groups}"
        " --scores {output.scores} --features {output.features} --cells {output.cells} --threads {threads} 2> {log}"


if bench.common_controls:

    use rule score as score_controls with:
        input:
            files_of_runs(bench.common_controls),
            files_of_views("train.h5mu"),
            files_of_views("solution.h5mu"),
            code=code_of_command("score", *metric_modules()),
        output:
            scores=scores_of_controls("scores.tsv"),
            features=scores_of_controls("features.tsv"),
            cells=scores_of_controls("cells.npz"),
        log:
            "<logs>/score/{dataset}/{scenario}/_controls.log",
        benchmark:
            "<results>/benchmarks/score/{dataset}/{scenario}/_controls.tsv"
        params:
            runs=folders_of_controls,
            views=folders_of_views,
            groups=bench.groups,
        message:
            "Score the controls on {wildcards.dataset}, {wildcards.scenario}"


rule record_config:
    output:
        "<results>/config.json",
    log:
        "<logs>/record_config.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        config=as_json(bench.config),
    message:
        "Record the config, with every default filled in"
    shell:
        "printf '%s\\n' {params.config:q} > {output} 2> {log}"


rule tabulate:
    input:
        applicable("<results>/runs/{dataset}/{scenario}/{run}/scores.tsv"),
        applicable("<results>/runs/{dataset}/{scenario}/{run}/features.tsv"),
        applicable("<results>/runs/{dataset}/{scenario}/{run}/cells.npz"),
        applicable("<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/run.json", seed=bench.seeds),
        applicable("<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/history.tsv", seed=bench.seeds),
        config="<results>/config.json",
        published="config/published.yaml",
        code=code_of_command("tabulate"),
    output:
        reported_tables(
            expand(
                "<results>/tables/{table}.tsv",
                table=[
                    "scores",
                    "features",
                    "runs",
                    "comparison",
                    "headline",
                    "overview",
                    "paired_tests",
                    "ranks",
                    "overall",
                    "gates",
                    "published",
                    "expenses",
                    "history",
                    "standings",
                    "phases",
                    "scaling",
                    "sweep",
                ],
            )
        ),
    log:
        "<logs>/tabulate.log",
    benchmark:
        "<results>/benchmarks/tabulate/tables.tsv"
    group:
        group_on_cluster
    conda:
        ENVIRONMENT
    params:
        folder=subpath(output[0], parent=True),
        runs=runs_folder,
    message:
        "Join the scores into tables"
    shell:
        "python -m mosaicbench tabulate --config {input.config} --runs {params.runs} --published {input.published}"
        " --output {params.folder} 2> {log}"
