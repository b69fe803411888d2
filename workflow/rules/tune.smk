# split -> inner split -> settings of tuned runs


# Of a split, its train cells alone: what it hides cannot decide any setting.
rule split_inner:
    input:
        config=ancient(ANY.config),
        train=f"{SPLIT}/train.h5mu",
        code=code_of_command("split_inner"),
    output:
        expand(f"{INNER}/{{file}}", file=layout.PARTS_OF_SPLIT, allow_missing=True),
    log:
        LOGS.at("split_inner", *OF_SPLIT, "seed-{seed}"),
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("split_inner"),
    message:
        "Split the train cells of {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench split_inner --config {input.config:q}"
        " --split {wildcards.dataset:q}/{wildcards.scenario:q} --seed {wildcards.seed:q}"
        " --settings {params.settings:q} 2> {log:q}"


# All trials of a run on a split. Those that have ended are kept: a job that was killed goes on after them.
rule tune_model:
    input:
        config=ancient(ANY.config),
        environment=environment_of_method,
        parts=rules.split_inner.output,
        code=code_of_tuning,
    output:
        FILES_OF_TUNING,
    log:
        LOGS.at("tune", *OF_RUN, "seed-{seed}"),
    wildcard_constraints:
        run=only([place for place in bench.tuned if place not in PLACES["fit_baseline"]]),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpu_of_model,
        mem_mb=cluster.requested_mb(bench.limits["memory_mb"], 1),  # a trial stopped for less would count as one that failed
        runtime=minutes_of_fits(bench.tuning.get("trials", 0)),
    params:
        python=lambda wildcards: ["--python", python] if (python := python_of_method(wildcards)) != "python" else [],
        settings=settings_of("tune"),
    message:
        "Tune {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench tune --config {input.config:q} --split {wildcards.dataset:q}/{wildcards.scenario:q}"
        " --run {wildcards.run:q} --seed {wildcards.seed:q} {params.python:q}"
        " --settings {params.settings:q} --threads {threads} 2> {log:q}"


use rule tune_model as tune_baseline with:
    wildcard_constraints:
        run=only([place for place in bench.tuned if place in PLACES["fit_baseline"]]),
    resources:
        mem_mb=cluster.requested_mb(bench.limits["memory_mb"], 1),
        runtime=minutes_of_fits(bench.tuning.get("trials", 0)),
