# view -> run


rule fit:
    input:
        solution_if_positive_control,
        train=VIEW + "/train.h5mu",
        query=VIEW + "/query.h5mu",
        code=code_of_method,
    output:
        RUN + "/seed-{seed}/latents.h5ad",
        RUN + "/seed-{seed}/imputed.h5mu",
        RUN + "/seed-{seed}/history.tsv",
        record=RUN + "/seed-{seed}/run.json",
    log:
        "<logs>/fit/{dataset}/{scenario}/{run}/seed-{seed}.log",
    params:
        folder=subpath(output.record, parent=True),
        method=method,
        hyperparameters=hyperparameters,
        identity=identity,
        limits=f"--max-minutes {bench.limits['minutes']} --max-memory-mb {bench.limits['memory_mb']}",
        solution=lambda wildcards, input: f"--solution {input[0]}" if solution_if_positive_control(wildcards) else "",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpus,
    message:
        "Fit {wildcards.run} on {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "{MOSAICBENCH} fit --method {params.method} --hyperparameters {params.hyperparameters:q}"
        " --identity {params.identity:q} --train {input.train} --query {input.query} {params.solution}"
        " --output {params.folder} {params.limits} --threads {threads} 2> {log}"
