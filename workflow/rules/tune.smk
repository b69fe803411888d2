# split -> inner split -> settings of tuned runs


# Of a split, its train cells alone: what it hides cannot decide any setting.
rule split_inner:
    input:
        train=f"{SPLIT}/train.h5mu",
        code=code_of_command("split_inner"),
    output:
        train=f"{INNER}/train.h5mu",
        query=f"{INNER}/query.h5mu",
        solution=f"{INNER}/solution.h5mu",
    log:
        LOGS.divide(*OF_SPLIT, "{seed}"),
    conda:
        ENVIRONMENT
    params:
        fraction=bench.tuning.get("fraction"),
        seed=bench.tuning.get("seed"),
        by=column_of_split,
    message:
        "Divide the train cells of {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench split_inner --split {input.train:q} --fraction {params.fraction:q}"
        " --seed {params.seed:q} {params.by:q} --train {output.train:q} --query {output.query:q}"
        " --solution {output.solution:q} 2> {log:q}"


# All trials of a run on a split. Those that have ended are kept: a job that was killed goes on after them.
rule tune_model:
    input:
        environment=environment_of_method,
        train=f"{INNER}/train.h5mu",
        query=f"{INNER}/query.h5mu",
        solution=f"{INNER}/solution.h5mu",
        code=code_of_tuning,
    output:
        expand(f"{TUNING}/{{file}}", file=layout.FILES_OF_TUNING, allow_missing=True),
    log:
        LOGS.tune(*OF_RUN, "{seed}"),
    wildcard_constraints:
        run=any_of(runs_tuned_of_kinds("model")),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpus_here,
        mem_mb=memory_of_trial,
        runtime=minutes_of_fits(bench.tuning.get("trials", 0)),
    params:
        job=job_of_tuning,
    message:
        "Tune {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench tune {params.job:q} --threads {threads} 2> {log:q}"


use rule tune_model as tune_baseline with:
    wildcard_constraints:
        run=any_of(runs_tuned_of_kinds("baseline")),
