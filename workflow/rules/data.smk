# source -> raw -> dataset -> split


# Without the code as an input: a file that was verified is not fetched again because this program was edited.
rule fetch:
    output:
        "<resources>/raw/{dataset}/{file}",
    log:
        LOGS.at("fetch", "{dataset}", "{file}"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        raw=subpath(output[0], ancestor=2),
    message:
        "Fetch {wildcards.file} of {wildcards.dataset}"
    shell:
        "python -m mosaicbench fetch {wildcards.dataset:q} --file {wildcards.file:q} --raw {params.raw:q} 2> {log:q}"


rule prepare:
    input:
        source_files,
        code=code_of_loader,
    output:
        ANY.dataset("{dataset}"),
    log:
        LOGS.prepare("{dataset}"),
    benchmark:
        RESOURCES.prepare("{dataset}")
    conda:
        ENVIRONMENT
    params:
        loader=loader,
        options=loader_options,
        raw=raw_folder,
    message:
        "Prepare {wildcards.dataset}"
    shell:
        "python -m mosaicbench prepare --dataset {wildcards.dataset:q}"
        " --loader {params.loader:q} --options {params.options:q} {params.raw:q} --output {output:q} 2> {log:q}"


# A split with one of its seeds, or, with `few_jobs`, with all of them.
rule split:
    input:
        dataset=ANY.dataset("{dataset}"),
        code=code_of_command("split"),
    output:
        train=files_of_cut("train.h5mu"),
        query=files_of_cut("query.h5mu"),
        solution=files_of_cut("solution.h5mu"),
        audit=files_of_cut("audit.tsv"),
    log:
        file_of_cut(LOGS),
    benchmark:
        file_of_cut(RESOURCES)
    conda:
        ENVIRONMENT
    params:
        kind=scenario_kind,
        options=cut_options,
        seeds=bench.seeds if bench.config["few_jobs"] else "{seed}",
    message:
        "Cut {wildcards.dataset}, {wildcards.scenario}, seed {params.seeds}"
    shell:
        "python -m mosaicbench split --dataset {input.dataset:q} --scenario {wildcards.scenario:q}"
        " --kind {params.kind:q} --options {params.options:q} --seeds {params.seeds:q}"
        " --train {output.train:q} --query {output.query:q} --solution {output.solution:q} 2> {log:q}"
