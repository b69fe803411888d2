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
        lambda wildcards: bench.datasets[wildcards.dataset]["inputs"],
        code=code_of("prepare"),
    output:
        ANY.dataset("{dataset}"),
    log:
        LOGS.at("prepare", "{dataset}"),
    benchmark:
        RESOURCES.at("prepare", "{dataset}")
    conda:
        ENVIRONMENT
    params:
        job=job_of("prepare"),
    message:
        "Prepare {wildcards.dataset}"
    shell:
        # The datasheet goes to the terminal, too.
        "python -m mosaicbench prepare {params.job:q} 2> {log:q} | tee -a {log:q}"


rule split:
    input:
        dataset=ANY.dataset("{dataset}"),
        code=code_of("split"),
    output:
        [f"{SPLIT}/{file}" for file in layout.FILES_OF_SPLIT],
    log:
        LOGS.at("split", *OF_SPLIT, "seed-{seed}"),
    benchmark:
        RESOURCES.at("split", *OF_SPLIT, "seed-{seed}")
    wildcard_constraints:
        dataset=any_of(LARGE),
    conda:
        ENVIRONMENT
    params:
        job=job_of("split"),
    message:
        "Split {wildcards.dataset}, {wildcards.scenario}, seed {wildcards.seed}"
    shell:
        "python -m mosaicbench split {params.job:q} 2> {log:q}"


# Of a small dataset, a job for all seeds.
use rule split as split_small with:
    output:
        expand(
            f"{SPLIT}/{{file}}", seed=bench.seeds, file=layout.FILES_OF_SPLIT, allow_missing=True
        ),
    log:
        LOGS.at("split", *OF_SPLIT, "seeds"),
    benchmark:
        RESOURCES.at("split", *OF_SPLIT, "seeds")
    wildcard_constraints:
        dataset=any_of(SMALL),
    message:
        "Split {wildcards.dataset}, {wildcards.scenario}, all seeds"
