# split -> run

FITTING = (
    "{params.python:q} -m mosaicbench fit --config {input.config:q}"
    " --split {wildcards.dataset:q}/{wildcards.scenario:q} --run {params.runs:q} --seed {params.seeds:q}"
    " {params.written:q} --settings {params.settings:q} --threads {threads} --attempt {resources.attempt}"
    " --granted-mb {resources.mem_mb} --granted-minutes {resources.runtime} 2> {log:q}"
)


# Models have rules of their own, so that a profile can send them to GPU nodes. Of a long training, a job per seed.
rule fit_model:
    input:
        config=ancient(ANY.config),
        environment=environment_of_method,
        train=f"{SPLIT}/train.h5mu",
        query=f"{SPLIT}/query.h5mu",
        tuned=files_of_settings,
        code=code_of_fit,
    output:
        OUTPUTS_OF_FIT,
    log:
        LOGS.fit(*OF_RUN, "{seed}"),
    wildcard_constraints:
        run=only(PLACES["fit_model"]),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpu_of_model,
        mem_mb=memory_of_fit,
        runtime=minutes_of_fits(1),
        attempt=number_of_attempt,
    params:
        python=python_of_method,
        runs="{run}",
        seeds="{seed}",
        written=[],
        settings=settings_of("fit"),
    message:
        "Fit {params.runs} on {wildcards.dataset}, {wildcards.scenario}, seed {params.seeds}"
    shell:
        FITTING


# Of a training that takes seconds, a job for all seeds: to start it takes as long.
use rule fit_model as fit_quick_model with:
    input:
        config=ancient(ANY.config),
        environment=environment_of_method,
        train=files_of_splits("train.h5mu"),
        query=files_of_splits("query.h5mu"),
        tuned=files_of_settings,
        code=code_of_fit,
    output:
        OUTPUTS_OF_RUN,
    log:
        LOGS.fit(*OF_RUN),
    wildcard_constraints:
        run=only(PLACES["fit_quick_model"]),
    resources:
        gpu=gpu_of_model,
        mem_mb=memory_of_fit,
        runtime=minutes_of_fits(len(bench.seeds)),
        attempt=number_of_attempt,
    params:
        seeds=bench.seeds,


# A baseline or control of a large dataset, or one that is tuned or wrapped, with all seeds.
use rule fit_quick_model as fit_baseline with:
    input:
        config=ancient(ANY.config),
        environment=environment_of_method,
        train=files_of_splits("train.h5mu"),
        query=files_of_splits("query.h5mu"),
        solution=files_of_splits("solution.h5mu"),
        tuned=files_of_settings,
        code=code_of_fit,
    output:
        OUTPUTS_OF_RUN,
    wildcard_constraints:
        run=only(PLACES["fit_baseline"]),
    resources:
        mem_mb=memory_of_fit,
        runtime=minutes_of_fits(len(bench.seeds)),
        attempt=number_of_attempt,


# All other baselines and controls of a small dataset and a scenario, with all seeds. Which runs these are differs between
# splits, and a rule's outputs cannot: the one that is declared lists what was written.
use rule fit_model as fit_cheap with:
    input:
        config=ancient(ANY.config),
        train=files_of_splits("train.h5mu"),
        query=files_of_splits("query.h5mu"),
        solution=files_of_splits("solution.h5mu"),
        code=code_of_fit,
    output:
        ANY.cheap_fits(*OF_SPLIT),
    log:
        LOGS.fit(*OF_SPLIT, layout.CHEAP),
    resources:
        mem_mb=memory_of_fit,
        runtime=minutes_of_fits(1),
        attempt=number_of_attempt,
    params:
        python="python",
        runs=runs_of_job,
        seeds=bench.seeds,
        written=lambda wildcards, output: ["--written", output[0]],


# An external run: files that a user computed with other programs, held to the contracts of all runs and scored as they are.
rule read_external:
    input:
        files_of_splits("train.h5mu"),
        files_of_splits("query.h5mu"),
        files_of_splits("solution.h5mu"),
        config=ancient(ANY.config),
        files=files_of_external_run,
        code=code_of_command("read_external"),
    output:
        FILES_OF_RUN,
    log:
        LOGS.at("read_external", *OF_RUN),
    wildcard_constraints:
        run=only(PLACES["read_external"]),
    conda:
        ENVIRONMENT
    params:
        settings=settings_of("read_external"),
    message:
        "Read {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, all seeds"
    shell:
        "python -m mosaicbench read_external --config {input.config:q}"
        " --split {wildcards.dataset:q}/{wildcards.scenario:q} --run {wildcards.run:q}"
        " --settings {params.settings:q} 2> {log:q}"
