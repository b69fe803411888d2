# source -> raw -> dataset -> view


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
        BENCHMARKS.prepare("{dataset}")
    conda:
        ENVIRONMENT
    params:
        loader=loader,
        options=loader_options,
        raw=raw_folder,
    message:
        "Prepare {wildcards.dataset}"
    shell:
        "python -m mosaicbench prepare --dataset {wildcards.dataset:q} --loader {params.loader:q}"
        " --options {params.options:q} {params.raw:q} --output {output:q} 2> {log:q}"


rule cut:
    input:
        dataset=ANY.dataset("{dataset}"),
        code=code_of_command("cut"),
    output:
        train=f"{VIEW}/train.h5mu",
        query=f"{VIEW}/query.h5mu",
        solution=f"{VIEW}/solution.h5mu",
        audit=f"{VIEW}/audit.tsv",
    log:
        LOGS.cut(*OF_VIEW, "{seed}"),
    benchmark:
        BENCHMARKS.cut(*OF_VIEW, "{seed}")
    conda:
        ENVIRONMENT
    params:
        kind=scenario_kind,
        options=cut_options,
    message:
        "Cut {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench cut --dataset {input.dataset:q} --scenario {wildcards.scenario:q} --kind {params.kind:q}"
        " --options {params.options:q} --seed {wildcards.seed:q}"
        " --train {output.train:q} --query {output.query:q} --solution {output.solution:q} 2> {log:q}"
