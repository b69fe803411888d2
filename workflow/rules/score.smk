# run + solution -> scores -> tables


rule score:
    input:
        inputs_of(jobs.inputs_of_score),
        code=code_of("score"),
    output:
        [f"{ANY.run(*OF_RUN)}/{file}" for file in layout.FILES_OF_SCORES],
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
        runtime=minutes_of_scores,
    params:
        job=job_of("score"),
    message:
        "Score {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}"
    shell:
        "python -m mosaicbench score {params.job:q} --threads {threads} 2> {log:q}"


# All runs of a small dataset and a scenario: to start a job takes longer than to score a run. Its output lists its files.
use rule score as score_small with:
    output:
        ANY.scores_of_split(*OF_SPLIT),
    log:
        LOGS.at("score", *OF_SPLIT),
    benchmark:
        RESOURCES.at("score", *OF_SPLIT)
    message:
        "Score all runs on {wildcards.dataset}, {wildcards.scenario}"


rule tabulate:
    input:
        [f"{ANY.run(*place)}/{file}" for place in OF_LARGE for file in layout.FILES_OF_SCORES],
        [ANY.scores_of_split(*split) for split in bench.splits if split[0] in SMALL],
        files_of_fits(bench.applicable, "run.json", "history.tsv"),
        [ANY.dataset(dataset) for dataset in bench.datasets],
        [
            f"{ANY.tuning(*place, seed)}/{file}"
            for place in bench.tuned
            for seed in bench.tuned_seeds
            for file in layout.FILES_OF_TUNING
        ],
        published=of_project("config/published.yaml"),
        display=of_project("config/display.yaml"),
        code=code_of("tabulate"),
    output:
        [report(file, **about) if about else file for file, about in jobs.reported_tables()],
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
        job=job_of("tabulate"),
    message:
        "Join the scores into tables"
    shell:
        "python -m mosaicbench tabulate {params.job:q} 2> {log:q}"
