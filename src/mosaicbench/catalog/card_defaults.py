"""The cards of a file by id, and the values of keys that a method's card leaves out.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Collection

from mosaicbench.errors import UserError, nearest

PARTS_OF = {
    "joint": "embed",
    "single": "embed",
    "private": "embed_private",
    "impute": "impute",
    "draws": "draw",
    "labels": "predict",
}  # output -> the function of the method that returns it
NEEDED_BY = {
    "aligns": "single",
    "imputes": "impute",
    "reconstructs": "impute",
}  # word of `tested_for` -> the output that it needs
TEXTS = ("paper", "doi", "summary", "deviates")  # empty by default


def of_file(file: str, stem: str, assigned: dict[str, object]) -> dict[str, object]:
    """Return id -> card of a file: its ``CARDS``, or its ``CARD`` under the name `stem` of the file.

    A card of ``CARDS`` with ``"like": "mvae"`` takes the keys that it leaves out from that card
    above it. `assigned` has the values of CARD and CARDS, if the file has them.
    """
    complete: dict[str, object] = {}
    for name, card in assigned.get("CARDS", {stem: assigned.get("CARD")}).items():
        other = (card or {}).get("like")
        if other is not None and other not in complete:
            hint = nearest(other, complete)
            raise UserError(f"{file}: CARDS, {name}, key 'like': no card {other!r} above it{hint}")
        complete[name] = {**complete[other], **card} if other else card
    return complete


def whole(card: dict, functions: Collection[str]) -> dict:
    """Return a method's card with default values of `outputs`, `tested_for` and texts.

    The outputs are those that the class has `functions` for, without `joint` for methods of unpaired
    scenarios alone. A model or baseline is tested for `aligns` and `imputes` if it has the outputs, a
    model also for `random`, and for `generates` if it has the function. A wrapped package or control is
    tested for nothing.
    """
    outputs = [word for word, part in PARTS_OF.items() if part in functions]
    if set(card["scenarios"]) == {"unpaired"} and "joint" in outputs:
        outputs.remove("joint")
    stated = dict.fromkeys(TEXTS, "") | {"outputs": tuple(outputs)} | card
    aims = [word for word in ("aligns", "imputes") if NEEDED_BY[word] in stated["outputs"]]
    if card["kind"] == "model":
        aims += ["generates", "random"] if "generate" in functions else ["random"]
    if card["kind"] == "control" or "wraps" in card:
        aims = []
    return {"tested_for": tuple(aims)} | stated
