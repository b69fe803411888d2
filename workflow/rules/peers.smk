# pinned packages -> an environment of its own, for methods whose packages do not go with the others

ENVIRONMENTS_OF_PEERS = sorted(
    {card["environment"] for card in catalog.cards("methods").values() if "environment" in card}
)


rule build_environment:
    input:
        of_project("envs/peers/{environment}.txt"),
    output:
        touch(f"{VENVS}/{{environment}}/.ready"),
    log:
        LOGS.at("build_environment", "{environment}"),
    wildcard_constraints:
        environment=any_of(ENVIRONMENTS_OF_PEERS),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        build=of_project("envs/build.py"),  # no input: an environment is not built anew for a change of it
        folder=subpath(output[0], parent=True),
    message:
        "Build the environment {wildcards.environment}"
    shell:
        "python {params.build:q} {input:q} {params.folder:q} > {log:q} 2>&1"


# What `make peers` asks for; a benchmark builds only what its runs need.
rule environments:
    input:
        expand(f"{VENVS}/{{environment}}/.ready", environment=ENVIRONMENTS_OF_PEERS),
