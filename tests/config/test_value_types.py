"""Values of a config are checked against the types and ranges in annotations."""

import pytest

from mosaicbench.catalog import catalog
from mosaicbench.catalog.catalog import Hyperparameter
from mosaicbench.config import checking, settings
from mosaicbench.errors import UserError

SHARE = 'Annotated[float, "at least 0 and below 1"]'
COUNTED = {"latent", "hidden", "components", "batch_size", "max_epochs", "patience"}
RIGHT = [
    (1, "int"),
    (1, "float"),
    (1.5, SHARE.replace("below 1", "below 2")),
    (0, SHARE),
    (None, f"{SHARE} | None"),
    ("a", 'Annotated[int, "above 3"] | Literal["a", "b"]'),
    ([0.5, 0.9], f"tuple[{SHARE}, {SHARE}]"),
    ([], "tuple[str, ...] | None"),
    ({"rna": 3}, 'dict[str, Annotated[int, "at least 0"]]'),
    (["a"], "Sequence[str]"),
    (["a", 3, 3.5, float("nan"), False], "Sequence[Label]"),
    ({"adt": ["a", 3], "rna": "empty"}, 'dict[str, Literal["empty"] | list[Label]]'),
    (object(), "np.ndarray"),
]
WRONG = [
    (1.0, "int", "1.0"),
    (True, "int", "True"),
    (1, SHARE, "below 1"),
    ("", "str", "''"),
    ("1e-3", SHARE, "write 0.001"),
    ("5", 'Annotated[int, "at least 1"]', "write 5"),
    ([0.5], f"tuple[{SHARE}, {SHARE}]", "missing"),
    ([1], "tuple[str, ...] | None", "text"),
    ({"rna": -1}, 'dict[str, Annotated[int, "at least 0"]]', "at least 0"),
    (2, 'Literal["a", True]', "'a'"),
    ("x" * 500, "int", "…"),
    ("unknown", "Sequence[Label]", "a list"),
    ([["unknown"]], "Sequence[Label]", "text"),
    ([None], "Sequence[Label]", "text"),
    ({"adt": "P2"}, 'dict[str, Literal["empty"] | list[Label]]', "'empty'"),
]


def wrong_with(value, annotation):
    """Return what is wrong with a value, "" where nothing is."""
    declared = checking.options("toy", {"x": Hyperparameter(annotation, None)})
    mistakes = checking.faults(declared, {"x": value})
    assert {key.split(".")[0] for key, _ in mistakes} <= {"x"}
    return "; ".join(wrong for _, wrong in mistakes)


@pytest.mark.parametrize(("value", "annotation"), RIGHT)
def test_a_value_of_the_annotation_is_right(value, annotation):
    assert wrong_with(value, annotation) == ""


@pytest.mark.parametrize(("value", "annotation", "hint"), WRONG)
def test_what_is_wrong_names_the_value_and_what_to_write(value, annotation, hint):
    wrong = wrong_with(value, annotation)
    assert hint in wrong
    assert 0 < len(wrong) < 300


@pytest.mark.parametrize("method", catalog.names("methods"))
def test_every_number_of_a_method_has_a_range_its_default_within_and_none_may_be_negative(method):
    known = catalog.hyperparameters(method)
    for name, one in known.items():
        assert wrong_with(-1, one.annotation), name
        assert wrong_with(-0.5, one.annotation), name
        assert wrong_with(one.default, one.annotation) == "", name
    for name in COUNTED & set(known):
        assert wrong_with(0, known[name].annotation), name
    for name, values in catalog.card("methods", method).get("space", {}).items():
        ends = next(iter(values.values()))
        assert not any(wrong_with(end, known[name].annotation) for end in ends), name


@pytest.mark.parametrize("words", ["1 or more", "at least"])
def test_a_range_that_cannot_be_read_is_refused(words):
    with pytest.raises(UserError, match=f"'{words}' is no range; use at least"):
        checking.kind_of(f"Annotated[int, {words!r}]")


TEXTS = [
    (b"\x00\xff\xfe binary", "not valid YAML"),
    (b"runs: {mvae: }\ndatasets: {simulated: }\nruns: {cca: }", "lines 1 and 3"),
    (b"a: !!python/object:os.system {}", "not valid YAML"),
    (b"", "top level: .*mapping, found None"),
    (b"- a", r"top level: .*mapping, found \['a'\]"),
]


@pytest.mark.parametrize(("content", "message"), TEXTS)
@pytest.mark.parametrize("what", ["config", "registry"])
def test_a_file_that_is_not_a_config_or_registry_is_named(tmp_path, content, message, what):
    file = tmp_path / "my.yaml"
    file.write_bytes(content)
    named = {"datasets": {"simulated": {}}, "registry": str(file)}
    key = "" if what == "config" else "config key registry: .*my.yaml.*"
    with pytest.raises(UserError, match=f"{key}{message}"):
        settings.read(file) if what == "config" else settings.load(named)
