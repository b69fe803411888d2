# run + solution -> scores -> tables

METRICS = [
    catalog.module("metrics", name)
    for name, card in catalog.cards("metrics").items()
    if card["group"] in bench.groups
]


rule score:
    input:
        FILES_OF_RUN,
        files_of_splits("train.h5mu"),
        files_of_splits("solution.h5mu"),
        config=ancient(ANY.config),
        code=code_of_command("score", *METRICS),
    output:
        expand(f"{RUN}/{{file}}", file=layout.FILES_OF_SCORES, allow_missing=True),
    log:
        LOGS.at("score", *OF_RUN),
    benchmark:
        RESOURCES.at("score", *OF_RUN)
    wildcard_constraints:
        run=only(OF_LARGE),
    priority: int(not bench.config["keep_imputed"])  # imputed values take much disk until then
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=lambda wildcards, attempt: (2 + 2 * len(bench.seeds)) * attempt,
    params:
        runs=lambda wildcards: ["--run", wildcards.run],
        settings=settings_of("score"),
    message:
        "Score {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}"
    shell:
        "python -m mosaicbench score --config {input.config:q} --split {wildcards.dataset:q}/{wildcards.scenario:q}"
        " {params.runs:q} --settings {params.settings:q} --threads {threads} 2> {log:q}"


# All runs of a small dataset and a scenario: to start a job takes longer than to score a run. Its output lists its files.
use rule score as score_small with:
    input:
        fits_of_split,
        files_of_splits("train.h5mu"),
        files_of_splits("solution.h5mu"),
        config=ancient(ANY.config),
        code=code_of_command("score", *METRICS),
    output:
        ANY.scores_of_split(*OF_SPLIT),
    log:
        LOGS.at("score", *OF_SPLIT),
    benchmark:
        RESOURCES.at("score", *OF_SPLIT)
    resources:
        runtime=lambda wildcards, attempt: (2 + 2 * len(bench.seeds) * len(bench.runs)) * attempt,
    params:
        runs=lambda wildcards, output: ["--written", output[0]],
    message:
        "Score all runs on {wildcards.dataset}, {wildcards.scenario}"


rule tabulate:
    input:
        expand("{run}/{file}", run=[ANY.run(*place) for place in OF_LARGE], file=layout.FILES_OF_SCORES),
        [ANY.scores_of_split(*split) for split in bench.splits if split[0] in SMALL],
        files_of_fits(bench.applicable, "run.json", "history.tsv"),
        [
            path
            for dataset, scenario, run in bench.tuned
            for path in expand(
                FILES_OF_TUNING, dataset=dataset, scenario=scenario, run=run, seed=bench.tuned_seeds
            )
        ],
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
    message:
        "Join the scores into tables"
    shell:
        "python -m mosaicbench tabulate --config {input.config:q} 2> {log:q}"
