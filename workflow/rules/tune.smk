# split -> inner split -> settings of tuned runs


# Of a split, its train cells alone: what it hides cannot decide any setting.
rule split_inner:
    input:
        train=f"{SPLIT}/train.h5mu",
        code=code_of("split_inner"),
    output:
        [f"{INNER}/{file}" for file in layout.PARTS_OF_SPLIT],
    log:
        LOGS.at("split_inner", *OF_SPLIT, "seed-{seed}"),
    conda:
        ENVIRONMENT
    params:
        job=job_of("split_inner"),
    message:
        "Split the train cells of {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench split_inner {params.job:q} 2> {log:q}"


# All trials of a run on a split. Those that have ended are kept: a job that was killed goes on after them.
rule tune_model:
    input:
        rules.split_inner.output,
        environment=lambda wildcards: inputs_of(jobs.inputs_of_fit)(wildcards)["environment"],
        code=code_of("tune"),
    output:
        [f"{ANY.tuning(*OF_RUN, '{seed}')}/{file}" for file in layout.FILES_OF_TUNING],
    log:
        LOGS.at("tune", *OF_RUN, "seed-{seed}"),
    wildcard_constraints:
        run=only([place for place in bench.tuned if place not in PLACES["fit_baseline"]]),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpus_of_fit,
        mem_mb=cluster.requested_mb(bench.limits["memory_mb"]),  # a trial that had less would count as failed
        runtime=partial(minutes_of_fits, fits=bench.tuning.get("trials")),
    params:
        job=job_of("tune"),
        python=python_of,
    message:
        "Tune {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench tune {params.job:q} --python {params.python:q}"
        " --threads {threads} 2> {log:q}"


use rule tune_model as tune_baseline with:
    wildcard_constraints:
        run=only([place for place in bench.tuned if place in PLACES["fit_baseline"]]),
