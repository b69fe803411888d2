"""Which runs apply to a scenario, as far as cards and the config tell, before anything runs."""

from __future__ import annotations

from mosaicbench import catalog


def why_not(run, stanza: dict) -> str | None:
    """Return why a run does not apply to a scenario, None if it does; a tuned run applies where the one that it tunes does.

    Parameters
    ----------
    run
        A ``settings.Run``.
    stanza
        The scenario's.
    """
    handles = catalog.card("methods", run.method)["handles"]
    kind, described = _pairing(stanza)
    if kind != "natural" and kind not in handles:
        return f"needs {' or '.join(handles)} cells, this scenario is {described}"
    if not {run.name, run.tuned_from} & set(stanza.get("runs", [run.name])):
        return "left out of this scenario by the config"
    return None


def _pairing(stanza: dict) -> tuple[str, str]:
    """Return the kind that decides which methods apply, and how to say it: a mosaic of one-modality blocks has no pair.

    What kind the cells of a natural scenario amount to is known once the dataset is prepared: a fit that does not apply says
    so.
    """
    if stanza["kind"] == "mosaic":
        if (
            all(len(block) == 1 for block in stanza.get("blocks", [[1, 2]]))
            or stanza.get("paired_fraction") == 0
        ):
            return "unpaired", "a mosaic without a paired cell, so unpaired"
        if stanza.get("paired_fraction") == 1:
            return "paired", "a mosaic of paired cells only, so paired"
    return stanza["kind"], stanza["kind"]
