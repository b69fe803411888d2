# What the rules from runs to tables need to know.


def scores_of_controls(file):
    return expand(f"{RUN}/{file}", run=bench.common_controls, allow_missing=True)


def metric_modules():
    chosen = [name for name, card in catalog.cards("metrics").items() if card["group"] in bench.groups]
    return [catalog.module("metrics", name) for name in chosen]


def reported_tables(tables):
    """The same files; all but the longest also stand in the report of `snakemake --report`."""
    longest = ("scores.tsv", "features.tsv", "history.tsv", "phases.tsv")
    names = {table: Path(table).name for table in tables}
    return [
        (table if name in longest else report(table, category="Tables", labels={"table": name}, caption="../report/tables.rst"))
        for table, name in names.items()
    ]
