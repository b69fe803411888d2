"""Docstrings, comments and messages avoid words that most sentences are clearer without."""

import ast
import io
import re
import tokenize

import pytest
from conftest import REPOSITORY

SOURCE = REPOSITORY / "src/mosaicbench"
FORBIDDEN = re.compile(r"\b((?i:stands|lies|told|in the place of)|is none|are none)\b")
NO_NOUN = re.compile(  # words after which `whose` has no noun
    r"a|all|an|and|any|are|as|both|but|each|else|few|has|if|is|many|most|none|of|ones?|only|or"
    r"|others?|some|that|the|them|then|there|these|they|this|those|was|what|when|where|which|who|"
)
WHOSE = re.compile(r"(?:\b(\w+),?\s+|^|[.;:(–]\s*)whose\b", re.IGNORECASE)


def unclear(text):
    """Return the forbidden words of a text."""
    text = " ".join(text.split())
    found = [match[0] for match in FORBIDDEN.finditer(text)]
    whose = [match for match in WHOSE.finditer(text) if NO_NOUN.fullmatch((match[1] or "").lower())]
    return found + [match[0] for match in whose]


def strings(tree):
    """Return (line, text) of docstrings and messages; an expression inside a message is a dash."""
    whole = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    pieces = {id(part) for node in whole for part in node.values}
    for node in whole:
        texts = [part.value if isinstance(part, ast.Constant) else "–" for part in node.values]
        yield node.lineno, "".join(texts)
    for node in ast.walk(tree):
        text = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and " " in text and id(node) not in pieces:  # not a name
            yield node.lineno, text


def comments(code):
    """Return (line, text) of comments; those of adjacent lines are one."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            line, text = token.start[0], token.string.lstrip("# ")
            if found and found[-1][1] == line - 1:
                text = f"{found.pop()[2]} {text}"
            found.append((line, line, text))
    return [(line, text) for line, _, text in found]


def test_docstrings_comments_and_messages_have_no_forbidden_word():
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        code = path.read_text(encoding="utf-8")
        for line, text in [*strings(ast.parse(code)), *comments(code)]:
            found += [f"{path.relative_to(SOURCE)}:{line}: {word}" for word in unclear(text)]
    assert not found, f"{len(found)} to rewrite:\n" + "\n".join(sorted(set(found)))


@pytest.mark.parametrize(
    "text",
    [
        "The table stands\nin a file.",
        "Cells of which there are none.",
        "Whose label is it?",
        "Return those whose status is ok.",
        "of runs; whose seeds",
        "values in the\n place of names",
    ],
)
def test_a_forbidden_word_is_found(text):
    assert unclear(text)


@pytest.mark.parametrize(
    "text", ["Runs whose status is ok.", "A method, whose card has it.", "Families, standards."]
)
def test_a_clear_sentence_passes(text):
    assert not unclear(text)


def test_words_are_found_in_docstrings_messages_and_comments():
    code = '"""A value\nlies here."""\n# in the\n# place of\nraise ValueError(f"{x} is none")\n'
    texts = [text for _, text in [*strings(ast.parse(code)), *comments(code)]]
    assert sorted(word for text in texts for word in unclear(text)) == [
        "in the place of",
        "is none",
        "lies",
    ]
