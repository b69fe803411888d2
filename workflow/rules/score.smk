# run + solution -> scores -> tables


# Runs are scored together, ten or fewer to a job, or twenty with `few_jobs`: to start it takes longer than to score one.
for part, (runs, scenarios) in bench.scored_together.items():

    rule:
        name:
            f"score{part}"
        input:
            files_of_runs(runs),
            files_of_splits("train.h5mu"),
            files_of_splits("solution.h5mu"),
            code=code_of_command("score", *metric_modules()),
        output:
            scores=files_of_scores(runs, "scores.tsv"),
            features=files_of_scores(runs, "features.tsv"),
            cells=files_of_scores(runs, "cells.npz"),
        log:
            LOGS.score(*OF_SPLIT, part),
        benchmark:
            RESOURCES.score(*OF_SPLIT, part)
        wildcard_constraints:
            scenario=any_of(scenarios),
        priority: int(not bench.config["keep_imputed"])  # imputed values take much disk until then
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            runtime=minutes_of(2 + 2 * len(runs) * len(bench.seeds)),
        params:
            runs=folders_of(runs),
            splits=folders_of_splits,
            groups=bench.groups,
        message:
            f"Score {listed(part, runs)} on {{wildcards.dataset}}, {{wildcards.scenario}}"
        shell:
            "python -m mosaicbench score --runs {params.runs:q} --splits {params.splits:q}"
            " --groups {params.groups:q} --scores {output.scores:q} --features {output.features:q}"
            " --cells {output.cells:q} --threads {threads} 2> {log:q}"


rule record_config:
    output:
        ANY.config,
    log:
        LOGS.at("record_config"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        config=as_json(bench.config),
    message:
        "Record the config, with every default filled in"
    shell:
        "printf '%s\\n' {params.config:q} > {output:q} 2> {log:q}"


rule tabulate:
    input:
        applicable(f"{RUN}/scores.tsv"),
        applicable(f"{RUN}/features.tsv"),
        applicable(f"{RUN}/cells.npz"),
        applicable(f"{FIT}/run.json", seed=bench.seeds),
        applicable(f"{FIT}/history.tsv", seed=bench.seeds),
        files_of_tuning(),
        config=ANY.config,
        published=of_project("config/published.yaml"),
        display=of_project("config/display.yaml"),
        code=code_of_command("tabulate"),
    output:
        reported_tables([ANY.table(name) for name in layout.TABLES]),
        directory(ANY.latex),
    log:
        LOGS.at("tabulate"),
    benchmark:
        RESOURCES.at("tabulate", "tables")
    group:
        group_on_cluster
    conda:
        ENVIRONMENT
    params:
        folder=subpath(output[0], parent=True),
        results=subpath(output[0], ancestor=2),
    message:
        "Join the scores into tables"
    shell:
        "python -m mosaicbench tabulate --config {input.config:q} --results {params.results:q}"
        " --published {input.published:q} --display {input.display:q} --output {params.folder:q} 2> {log:q}"
