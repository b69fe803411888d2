# run + solution -> scores -> tables; run -> embeddings

LATENTS = ("latents.h5ad", "train_latents.h5ad")
SEARCHES = [ANY.tuning(**search) for search in jobs.tabulate(bench, ANY)["searches"]]


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


# The rules of tables, figures and report take its shell command; `job` names the step.
rule embeddings:
    input:
        files_of_fits(bench.applicable, "run.json", *LATENTS, seeds=bench.seeds[:1]),
        DATASETS,
        parts_of_splits("solution"),
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
        job=step_of("embeddings"),
    message:
        "Join the embeddings of all runs"
    shell:
        "python -m mosaicbench {params.job:q} 2> {log:q}"


use rule embeddings as tabulate with:
    input:
        [f"{ANY.run(*place)}/{file}" for place in OF_LARGE for file in layout.FILES_OF_SCORES],
        [ANY.scores_of_split(*split) for split in bench.splits if split[0] in SMALL],
        files_of_fits(bench.applicable, "run.json", "history.tsv"),
        DATASETS,
        expand("{folder}/{file}", folder=SEARCHES, file=layout.FILES_OF_TUNING),
        published=of_project("config/published.yaml"),
        display=of_project("config/display.yaml"),
        code=code_of("tabulate"),
    output:
        [ANY.table(name) for name in layout.FILES_OF_TABLES],
        directory(ANY.latex),
    log:
        LOGS.at("tabulate"),
    benchmark:
        RESOURCES.at("tabulate", "tables")
    group:
        group_on_cluster
    params:
        job=step_of("tabulate"),
    message:
        "Join the scores into tables"
