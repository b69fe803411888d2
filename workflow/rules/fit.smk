# split -> run

# Where no run is of its kind, a rule is left out: Snakemake looks for every file in the outputs of all rules.

# A rule for models and others for what is short, so that a profile can send models to GPU nodes.
if fitted_alone("model"):

    rule fit_model:
        input:
            environment=environment_of_method,
            train=f"{SPLIT}/train.h5mu",
            query=f"{SPLIT}/query.h5mu",
            tuned=settings_found,
            code=code_of_method,
        output:
            outputs_of_fits(FILES_OF_FIT),
        log:
            LOGS.fit(*OF_RUN, "{seed}"),
        wildcard_constraints:
            run=any_of(fitted_alone("model")),
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            gpu=gpus_here,
            mem_mb=memory_of_fit,
            runtime=minutes_of_fits(1),
            attempt=number_of_attempt,
        params:
            python=python_of_method,
            job=job_of_one_seed,
        message:
            "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
        shell:
            "{params.python:q} -m mosaicbench fit {params.job:q} --threads {threads}"
            " --attempt {resources.attempt} --granted-mb {resources.mem_mb} --granted-minutes {resources.runtime} 2> {log:q}"


# Fits that are over before a job of their own would have started: those of all seeds in one, one after the other.
if fitted_alone("baseline", "control"):

    rule fit_baseline:
        input:
            train=files_of_splits("train.h5mu"),
            query=files_of_splits("query.h5mu"),
            solution=solutions_if_positive_control,
            tuned=settings_found,
            code=code_of_method,
        output:
            outputs_of_fits(files_of_runs("{run}")),
        log:
            LOGS.fit_of_seeds(*OF_RUN),
        wildcard_constraints:
            run=any_of(fitted_alone("baseline", "control")),
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=memory_of_fit,
            runtime=minutes_of_fits(len(bench.seeds)),
            attempt=number_of_attempt,
        params:
            job=job_of_all_seeds,
        message:
            "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, all seeds"
        shell:
            "python -m mosaicbench fit {params.job:q} --threads {threads}"
            " --attempt {resources.attempt} --granted-mb {resources.mem_mb} --granted-minutes {resources.runtime} 2> {log:q}"


# What a user computed with other programs: held to the contracts of all runs, and scored as they are.
if runs_from_elsewhere():

    rule adopt:
        input:
            files_of_splits("train.h5mu"),
            files_of_splits("query.h5mu"),
            files_of_splits("solution.h5mu"),
            files=files_from_elsewhere,
            code=code_of_command("adopt"),
        output:
            files_of_runs("{run}"),
        log:
            LOGS.adopt(*OF_RUN),
        wildcard_constraints:
            run=any_of(runs_from_elsewhere()),
        conda:
            ENVIRONMENT
        params:
            job=job_of_adoption,
        message:
            "Adopt {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, all seeds"
        shell:
            "python -m mosaicbench adopt {params.job:q} 2> {log:q}"


# Controls are cheap, so they rerun together, as do baselines, and models by twos, with `few_jobs`.
for part, runs in bench.fitted_together.items():

    rule:
        name:
            f"fit{part}"
        input:
            train=files_of_splits("train.h5mu"),
            query=files_of_splits("query.h5mu"),
            solution=files_of_splits("solution.h5mu") if read_solution(runs) else [],
            code=code_of_fits(runs),
        output:
            outputs_of_fits(files_of_runs(runs)),
        log:
            LOGS.fit_of_runs(*OF_SPLIT, part),
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            gpu=gpus_of(runs),
            mem_mb=memory_of_fit,
            runtime=minutes_of_fits(len(bench.seeds)),
            attempt=number_of_attempt,
        params:
            job=job_of_runs(runs),
        message:
            f"Fit {listed(part, runs)} on {{wildcards.dataset}}, {{wildcards.scenario}}, all seeds"
        shell:
            "python -m mosaicbench fit {params.job:q} --threads {threads}"
            " --attempt {resources.attempt} --granted-mb {resources.mem_mb} --granted-minutes {resources.runtime} 2> {log:q}"
