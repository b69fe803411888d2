"""External runs: a stanza of `runs` that names files and no method."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mosaicbench.errors import UserError

PARTS = ("latents", "imputed")  # at least one of them


def is_meant(stanza: dict) -> bool:
    """Say whether a stanza of `runs` names files and no method."""
    return "method" not in stanza and bool(set(PARTS) & stanza.keys())


def why_not(stanza: dict, dataset: str, scenario: str) -> str | None:
    """Return why an external run is not part of a split, None if it is."""
    if not is_meant(stanza):
        return None
    inside = dataset in stanza.get("datasets", [dataset]) and scenario in stanza.get(
        "scenarios", [scenario]
    )
    return None if inside else "an external run, of other datasets or scenarios"


def files(
    run: str, stanza: dict, dataset: str, scenario: str, seeds: Sequence[int]
) -> list[dict[str, str]]:
    """Return, for each seed, "latents" and "imputed" -> the file of a split.

    A path is that of all seeds, or has {seed} in it; {dataset} and {scenario} are filled in, too. A list has a path per seed,
    in the order of the config's `seeds`.

    Raises
    ------
    UserError
        When a file is not there, or a list is not as long as there are seeds.
    """
    found: list[dict[str, str]] = [{} for _ in seeds]
    for key in PARTS:
        paths = stanza.get(key, [])
        if isinstance(paths, list) and key in stanza and len(paths) != len(seeds):
            raise UserError(
                f"config key runs.{run}.{key}: a list has a file for each of the seeds "
                f"{', '.join(map(str, seeds))}, in that order"
            )
        for place, seed in enumerate(seeds if key in stanza else ()):
            path = paths[place] if isinstance(paths, list) else paths
            for name, value in (("dataset", dataset), ("scenario", scenario), ("seed", seed)):
                path = path.replace(f"{{{name}}}", str(value))
            if not os.path.isfile(path):  # which also says so of a name that is too long
                raise UserError(
                    f"config key runs.{run}.{key}: there is no file {path}, for seed {seed} of {dataset}, {scenario} "
                    f"(relative paths start at {Path.cwd()}); `datasets` and `scenarios` of the run name its splits"
                )
            found[place][key] = path
    return found
