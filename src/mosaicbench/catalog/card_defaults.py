"""What the cards of a file say: which id has which, and of a method also what follows where its card says nothing.

Apart from ``cards.py``, so that a new word for a card repeats no fit. Standard library only.
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
}  # what a method gives -> the function that gives it
NEEDED_BY = {
    "aligns": "single",
    "imputes": "impute",
    "reconstructs": "impute",
}  # claim -> what a method with it gives
TEXTS = ("paper", "doi", "summary", "deviates")  # empty where a method's card says nothing


def of_file(file: str, stem: str, assigned: dict[str, object]) -> dict[str, object]:
    """Return id -> card of a file: those of its ``CARDS``, or its ``CARD`` under the name of the file.

    A card of ``CARDS`` that says ``"like": "mvae"`` takes what it does not say from that card, which stands above it.

    Parameters
    ----------
    file
        For the message.
    stem
        The file's name without its ending.
    assigned
        The values of CARD and CARDS, where the file has them.

    Raises
    ------
    UserError
        When CARDS is no dict of dicts, or a card is like one that is not above it.
    """
    cards = assigned.get("CARDS", {stem: assigned.get("CARD")})
    if "CARDS" in assigned and not (
        isinstance(cards, dict) and cards and all(isinstance(one, dict) for one in cards.values())
    ):
        raise UserError(f"{file}: CARDS has to be a dict of cards, id -> dict, found {cards!r}")
    found: dict[str, object] = {}
    for name, card in cards.items():
        other = card.get("like") if isinstance(card, dict) else None
        if other is not None and other not in found:
            raise UserError(
                f"{file}: CARDS, {name}, key 'like': no card {other!r} above it{nearest(other, found)}"
            )
        found[name] = {**found[other], **card} if other else card
    return found


def whole(card: dict, functions: Collection[str]) -> dict:
    """Return a method's card with what follows where it says nothing: gives, claims, and texts that are empty.

    A method gives what its class has a function for; joint latents not where it handles only cells of one modality. A model or
    baseline claims to align and to impute where it gives that; a model also to generate where it can, and to be random. Of a
    package of others or a control nothing is claimed.

    Parameters
    ----------
    card
        As its file has it.
    functions
        The names of the functions that the method's class has.
    """
    apart = set(card["scenarios"]) == {"unpaired"}
    gives = [
        word
        for word, part in PARTS_OF.items()
        if part in functions and not (apart and word == "joint")
    ]
    stated = dict.fromkeys(TEXTS, "") | {"outputs": tuple(gives)} | card
    claims = [word for word in ("aligns", "imputes") if NEEDED_BY[word] in stated["outputs"]]
    if card["kind"] == "model":
        claims += ["generates", "random"] if "generate" in functions else ["random"]
    if card["kind"] == "control" or "wraps" in card:
        claims = []
    return {"tested_for": tuple(claims)} | stated
