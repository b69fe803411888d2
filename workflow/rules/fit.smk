# split -> run


# Models have rules of their own, so that a profile can send them to GPU nodes. Of a long training, a job per seed.
rule fit_model:
    input:
        unpack(inputs_of(jobs.inputs_of_fit)),
        code=code_of("fit"),
    output:
        outputs_of_fit(["{seed}"]),
    log:
        LOGS.fit(*OF_RUN, "{seed}"),
    wildcard_constraints:
        run=only(PLACES["fit_model"]),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpus_of_fit,
        mem_mb=memory_of_fit,
        runtime=minutes_of_fits,
        attempt=number_of_attempt,
    params:
        job=job_of("fit"),
        python=python_of,
    message:
        "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "{params.python:q} -m mosaicbench fit {params.job:q} --threads {threads}"
        " --attempt {resources.attempt} --granted-mb {resources.mem_mb} --granted-minutes {resources.runtime} 2> {log:q}"


# Of a training that takes seconds, a job for all seeds: to start it takes as long.
use rule fit_model as fit_quick_model with:
    output:
        outputs_of_fit(bench.seeds),
    log:
        LOGS.fit(*OF_RUN),
    wildcard_constraints:
        run=only(PLACES["fit_quick_model"]),
    message:
        "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, all seeds"


# A baseline or control of a large dataset, or one that is tuned or wrapped.
use rule fit_quick_model as fit_baseline with:
    wildcard_constraints:
        run=only(PLACES["fit_baseline"]),


# All other baselines and controls of a small dataset and a scenario, with all seeds. Which runs these are differs between
# splits, and a rule's outputs cannot: the one that is declared lists what was written.
use rule fit_model as fit_cheap with:
    output:
        ANY.cheap_fits(*OF_SPLIT),
    log:
        LOGS.fit(*OF_SPLIT, layout.CHEAP),
    message:
        "Fit all cheap runs on {wildcards.dataset}, {wildcards.scenario}, all seeds"


# An external run: files that a user computed with other programs, held to the contracts of all runs and scored as they are.
rule read_external:
    input:
        inputs_of(jobs.inputs_of_external),
        code=code_of("read_external"),
    output:
        outputs_of_fit(bench.seeds),
    log:
        LOGS.at("read_external", *OF_RUN),
    wildcard_constraints:
        run=only(PLACES["read_external"]),
    conda:
        ENVIRONMENT
    params:
        job=job_of("read_external"),
    message:
        "Read {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, all seeds"
    shell:
        "python -m mosaicbench read_external {params.job:q} 2> {log:q}"
