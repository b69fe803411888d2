# view -> run


# Two rules that do the same, so that a profile can send models to GPU nodes and group what is short.
rule fit_model:
    input:
        solution_if_positive_control,
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
        solution=lambda wildcards, input: f"--solution {input[0]}" if solution_if_positive_control(wildcards) else "",
    message:
        "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "{params.python} -m mosaicbench attempt --method {params.method} --hyperparameters {params.hyperparameters:q}"
        " --identity {params.identity:q} --train {input.train} --query {input.query} {params.solution}"
        " --output {params.folder} {params.limits} --threads {threads} --attempt {resources.attempt}"
        " --granted-mb {resources.mem_mb} --granted-minutes {resources.runtime} 2> {log}"


# All seeds of a run in one job, trained at once. It writes what fit_model writes, seed by seed.
rule fit_seeds:
    input:
        train=expand("<results>/views/{dataset}/{scenario}/seed-{seed}/train.h5mu", seed=bench.seeds, allow_missing=True),
        query=expand("<results>/views/{dataset}/{scenario}/seed-{seed}/query.h5mu", seed=bench.seeds, allow_missing=True),
        code=code_of_method_for_seeds,
    output:
        expand(
            "<results>/runs/{dataset}/{scenario}/{run}/seed-{seed}/{file}",
            file=["latents.h5ad", "imputed.h5mu", "history.tsv", "run.json"],
            seed=bench.seeds,
            allow_missing=True,
        ),
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


if seeds_at_once():

    ruleorder: fit_seeds > fit_model

else:

    ruleorder: fit_model > fit_seeds


use rule fit_model as fit_baseline with:
    wildcard_constraints:
        run=any_of(runs_of_kinds("baseline", "control")),
