# view -> run


# A rule for models and others for what is short, so that a profile can send models to GPU nodes.
rule fit_model:
    input:
        environment=environment_of_method,
        train="<results>/views/{dataset}/{scenario}/seed-{seed}/train.h5mu",
        query="<results>/views/{dataset}/{scenario}/seed-{seed}/query.h5mu",
        code=code_of_method,
    output:
        "<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/latents.h5ad",
        "<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/imputed.h5mu",
        "<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/history.tsv",
        record="<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/run.json",
    log:
        "<logs>/fit/{dataset}/{scenario}/{run}/seed-{seed}.log",
    benchmark:
        "<results>/benchmarks/fit/{dataset}/{scenario}/{run}/seed-{seed}.tsv"
    wildcard_constraints:
        run=any_of(runs_of_kinds("model")),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpus_here,
        mem_mb=memory_of_fit,
        runtime=minutes_of_fit,
        attempt=number_of_attempt,
    params:
        python=python_of_method,
        folder=subpath(output.record, parent=True),
        method=method,
        hyperparameters=hyperparameters,
        identity=identity,
        limits=f"--max-minutes {bench.limits['minutes']} --max-memory-mb {bench.limits['memory_mb']}",
    message:
        "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "{params.python} -m mosaicbench attempt --method {params.method} --hyperparameters {params.hyperparameters:q}"
        " --identity {params.identity:q} --train {input.train} --query {input.query}"
        " --output {params.folder} {params.limits} --threads {threads} --attempt {resources.attempt}"
        " --granted-mb {resources.mem_mb} --granted-minutes {resources.runtime} 2> {log}"


# All seeds of a run in one job, trained at once. It writes what fit_model writes, seed by seed.
rule fit_seeds:
    input:
        train=files_of_views("train.h5mu"),
        query=files_of_views("query.h5mu"),
        code=code_of_method_for_seeds,
    output:
        files_of_runs("{run}"),
    log:
        "<logs>/fit/{dataset}/{scenario}/{run}/seeds.log",
    benchmark:
        "<results>/benchmarks/fit/{dataset}/{scenario}/{run}/seeds.tsv"
    wildcard_constraints:
        scenario=any_of(scenarios_of_kind("paired")),
        run=any_of(bench.stackable),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpus_here,
        mem_mb=memory_of_fit,
        runtime=minutes_of_fit_of_seeds,
        attempt=number_of_attempt,
    params:
        folders=folders_of_runs,
        seeds=bench.seeds,
        method=method,
        hyperparameters=hyperparameters,
        identity=identity_of_run,
        limits=f"--max-minutes {bench.limits['minutes']} --max-memory-mb {bench.limits['memory_mb']}",
    message:
        "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, all seeds"
    shell:
        "python -m mosaicbench fit_seeds --method {params.method} --hyperparameters {params.hyperparameters:q}"
        " --identity {params.identity:q} --seeds {params.seeds} --train {input.train} --query {input.query}"
        " --output {params.folders} {params.limits} --threads {threads} --attempt {resources.attempt}"
        " --granted-mb {resources.mem_mb} --granted-minutes {resources.runtime} 2> {log}"


if bench.seeds_at_once:

    ruleorder: fit_seeds > fit_model

else:

    ruleorder: fit_model > fit_seeds


# Fits that are over before a job of their own would have started: those of all seeds in one, one after the other.
rule fit_baseline:
    input:
        train=files_of_views("train.h5mu"),
        query=files_of_views("query.h5mu"),
        solution=solutions_if_positive_control,
        code=code_of_method_for_each,
    output:
        files_of_runs("{run}"),
    log:
        "<logs>/fit/{dataset}/{scenario}/{run}/seeds.log",
    benchmark:
        "<results>/benchmarks/fit/{dataset}/{scenario}/{run}/seeds.tsv"
    wildcard_constraints:
        run=any_of([run for run in runs_of_kinds("baseline", "control") if run not in bench.common_controls]),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of_fit,
        runtime=minutes_of_fit_of_seeds,
        attempt=number_of_attempt,
    params:
        runs=description_of_run,
        folders=folders_of_runs,
        seeds=bench.seeds,
        limits=f"--max-minutes {bench.limits['minutes']} --max-memory-mb {bench.limits['memory_mb']}",
    message:
        "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, all seeds"
    shell:
        "python -m mosaicbench fit_each --runs {params.runs:q} --seeds {params.seeds} --train {input.train}"
        " --query {input.query} --solution {input.solution} --output {params.folders} {params.limits} --threads {threads}"
        " --attempt {resources.attempt} --granted-mb {resources.mem_mb} --granted-minutes {resources.runtime} 2> {log}"


if bench.common_controls:

    # Nobody tunes them: they may begin again together. No run's name begins with an underscore.
    use rule fit_baseline as fit_controls with:
        input:
            train=files_of_views("train.h5mu"),
            query=files_of_views("query.h5mu"),
            solution=files_of_views("solution.h5mu"),
            code=code_of_controls(),
        output:
            files_of_runs(bench.common_controls),
        log:
            "<logs>/fit/{dataset}/{scenario}/_controls.log",
        benchmark:
            "<results>/benchmarks/fit/{dataset}/{scenario}/_controls.tsv"
        params:
            runs=description_of_controls,
            folders=folders_of_controls,
            seeds=bench.seeds,
            limits=f"--max-minutes {bench.limits['minutes']} --max-memory-mb {bench.limits['memory_mb']}",
        message:
            "Fit the controls on {wildcards.dataset}, {wildcards.scenario}, all seeds"
