# view -> run


rule fit:
    input:
        solution_if_positive_control,
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
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpus,
    params:
        folder=subpath(output.record, parent=True),
        method=method,
        hyperparameters=hyperparameters,
        identity=identity,
        limits=f"--max-minutes {bench.limits['minutes']} --max-memory-mb {bench.limits['memory_mb']}",
        solution=lambda wildcards, input: f"--solution {input[0]}" if solution_if_positive_control(wildcards) else "",
    message:
        "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench fit --method {params.method} --hyperparameters {params.hyperparameters:q}"
        " --identity {params.identity:q} --train {input.train} --query {input.query} {params.solution}"
        " --output {params.folder} {params.limits} --threads {threads} 2> {log}"
