# source -> raw -> dataset -> view


# Without the code as an input: a file that was verified is not fetched again because this program was edited.
rule fetch:
    output:
        "<resources>/raw/{dataset}/{file}",
    log:
        "<logs>/fetch/{dataset}/{file}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        raw=subpath(output[0], ancestor=2),
    message:
        "Fetch {wildcards.file} of {wildcards.dataset}"
    shell:
        "python -m mosaicbench fetch {wildcards.dataset} --file {wildcards.file} --raw {params.raw} 2> {log}"


rule prepare:
    input:
        source_files,
        code=code_of_loader,
    output:
        "<results>/datasets/{dataset}.h5mu",
    log:
        "<logs>/prepare/{dataset}.log",
    benchmark:
        "<results>/benchmarks/prepare/{dataset}.tsv"
    conda:
        ENVIRONMENT
    params:
        loader=loader,
        options=loader_options,
        raw=raw_folder,
    message:
        "Prepare {wildcards.dataset}"
    shell:
        "python -m mosaicbench prepare --dataset {wildcards.dataset} --loader {params.loader}"
        " --options {params.options:q} {params.raw} --output {output} 2> {log}"


rule cut:
    input:
        dataset="<results>/datasets/{dataset}.h5mu",
        code=code_of_command("cut"),
    output:
        train="<results>/views/{dataset}/{scenario}/seed-{seed}/train.h5mu",
        query="<results>/views/{dataset}/{scenario}/seed-{seed}/query.h5mu",
        solution="<results>/views/{dataset}/{scenario}/seed-{seed}/solution.h5mu",
        audit="<results>/views/{dataset}/{scenario}/seed-{seed}/audit.tsv",
    log:
        "<logs>/cut/{dataset}/{scenario}/seed-{seed}.log",
    benchmark:
        "<results>/benchmarks/cut/{dataset}/{scenario}/seed-{seed}.tsv"
    conda:
        ENVIRONMENT
    params:
        kind=scenario_kind,
        options=cut_options,
    message:
        "Cut {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench cut --dataset {input.dataset} --scenario {wildcards.scenario} --kind {params.kind}"
        " --options {params.options:q} --seed {wildcards.seed}"
        " --train {output.train} --query {output.query} --solution {output.solution} 2> {log}"
