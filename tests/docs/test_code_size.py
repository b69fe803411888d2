"""The project stays light: a fence around its size, which only deletion moves down."""

import code_size

TOKENS = 270_000  # of src; a new feature names its user in its commit


def test_the_package_is_within_its_fence():
    found = code_size.sizes(code_size.SOURCE)["tokens"]
    assert found <= TOKENS, f"src has {found:,} tokens of code, {TOKENS:,} at most: delete some"


def test_docstrings_comments_and_packing_do_not_count(tmp_path):
    file = tmp_path / "a.py"
    file.write_text('"""Two words."""\nx = 1  # a comment\ny = [a for b in c for a in b]\n')
    assert code_size.size(file) == {
        "tokens": 16,
        "docstring words": 2,
        "packed comprehensions": 1,
        "lines": 3,
    }
