# source -> raw -> dataset -> view


# Without the code as an input: a file that was verified is not fetched again because this program was edited.
rule fetch:
    output:
        "<resources>/raw/{dataset}/{file}",
    log:
        "<logs>/fetch/{dataset}/{file}.log",
    params:
        raw=bench.raw,
        registry=f"--registry {bench.config['registry']}" if bench.config["registry"] else "",
    conda:
        ENVIRONMENT
    localrule: True
    message:
        "Fetch {wildcards.file} of {wildcards.dataset}"
    shell:
        "{MOSAICBENCH} fetch {wildcards.dataset} --file {wildcards.file} --raw {params.raw} {params.registry} 2> {log}"


rule prepare:
    input:
        source_files,
        code=code_of_loader,
    output:
        "<results>/datasets/{dataset}.h5mu",
    log:
        "<logs>/prepare/{dataset}.log",
    params:
        loader=loader,
        options=loader_options,
        raw=raw_folder,
    conda:
        ENVIRONMENT
    message:
        "Prepare {wildcards.dataset}"
    shell:
        "{MOSAICBENCH} prepare --dataset {wildcards.dataset} --loader {params.loader}"
        " --options {params.options:q} {params.raw} --output {output} 2> {log}"


rule cut:
    input:
        dataset="<results>/datasets/{dataset}.h5mu",
        code=code_of_verb("cut"),
    output:
        train=VIEW + "/train.h5mu",
        query=VIEW + "/query.h5mu",
        solution=VIEW + "/solution.h5mu",
    log:
        "<logs>/cut/{dataset}/{scenario}/seed-{seed}.log",
    params:
        kind=scenario_kind,
        options=cut_options,
    conda:
        ENVIRONMENT
    message:
        "Cut {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "{MOSAICBENCH} cut --dataset {input.dataset} --scenario {wildcards.scenario} --kind {params.kind}"
        " --options {params.options:q} --seed {wildcards.seed}"
        " --train {output.train} --query {output.query} --solution {output.solution} 2> {log}"
