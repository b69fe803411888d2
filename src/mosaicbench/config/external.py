"""Files of runs: external runs, stanzas that name files and no method; embeddings of probes."""

from __future__ import annotations

import os
from pathlib import Path

from mosaicbench.config.recorded import Run
from mosaicbench.errors import UserError

PARTS = ("latents", "imputed")  # at least one of them


def is_meant(stanza: dict) -> bool:
    """Say whether a stanza of `runs` names files and no method."""
    return "method" not in stanza and bool(set(PARTS) & stanza.keys())


def why_not(stanza: dict, dataset: str, scenario: str) -> str | None:
    """Return why an external run is not part of a split, None if it is."""
    for key, name in (("datasets", dataset), ("scenarios", scenario)):
        if is_meant(stanza) and name not in stanza.get(key, [name]):
            return "an external run, of other datasets or scenarios"
    return None


def files(run: Run, dataset: str, scenario: str, seeds: list[int]) -> list[dict[str, str]]:
    """Return, for each seed, "latents" and "imputed" -> the file of a split.

    A path may have {dataset}, {scenario} and {seed} in it; a list has a path per seed, in the order of
    the config's `seeds`. A missing file is refused.
    """
    found, stanza = [{} for _ in seeds], run.hyperparameters
    for key in stanza.keys() & set(PARTS):
        paths = stanza[key] if isinstance(stanza[key], list) else [stanza[key]] * len(seeds)
        if len(paths) != len(seeds):
            raise UserError(
                f"config key runs.{run.name}.{key}: a list has a file for each of the seeds "
                f"{', '.join(map(str, seeds))}, in that order"
            )
        for files_of_seed, seed, path in zip(found, seeds, paths, strict=True):
            for name, value in (("dataset", dataset), ("scenario", scenario), ("seed", seed)):
                path = path.replace(f"{{{name}}}", str(value))
            if not os.path.isfile(path):
                raise UserError(
                    f"config key runs.{run.name}.{key}: there is no file {path}, for seed {seed} of "
                    f"{dataset}, {scenario} (relative paths start at {Path.cwd()}); `datasets` and "
                    "`scenarios` of the run name its splits"
                )
            files_of_seed[key] = path
    return found


def embedding(run: Run, dataset: str) -> str | None:
    """Return the file of the embedding that a run probes, None without one; refuse a missing file.

    A path may have {dataset} in it.
    """
    path = run.hyperparameters.get("embedding", "")
    if not path.endswith(".h5ad"):
        return None
    path = path.replace("{dataset}", dataset)
    if not os.path.isfile(path):
        raise UserError(
            f"config key runs.{run.name}.embedding: there is no file {path}, for {dataset} (relative "
            f"paths start at {Path.cwd()})"
        )
    return path
