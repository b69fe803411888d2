"""Values of a config are held against the annotations of code: type and range are stated once, where the thing is."""

import pytest

from mosaicbench import catalog, config_checks, settings, value_types
from mosaicbench.catalog import Hyperparameter
from mosaicbench.errors import UserError

SHARE = 'Annotated[float, "at least 0 and below 1"]'
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
    (object(), "np.ndarray"),
]
WRONG = [
    (1.0, "int", "expected a whole number, found 1.0"),
    (True, "int", "expected a whole number, found True"),
    (1, SHARE, "expected a number of at least 0 and below 1, found 1"),
    ("", "str", "expected text, found ''"),
    ("1e-3", SHARE, "found '1e-3'; YAML reads this as text, write 0.001"),
    ("5", 'Annotated[int, "at least 1"]', "found '5'; YAML reads this as text, write 5"),
    (
        [0.5],
        f"tuple[{SHARE}, {SHARE}]",
        "expected a list of 2: a number of at least 0 and below 1, a number of",
    ),
    ([1], "tuple[str, ...] | None", "expected a list of text or null, found [1]"),
    (
        {"rna": -1},
        'dict[str, Annotated[int, "at least 0"]]',
        "a mapping from names to a whole number of at least 0",
    ),
    (1, 'Literal["a", True]', "expected one of a, True, found 1"),
    ("x" * 500, "int", "…"),
]


@pytest.mark.parametrize(("value", "annotation"), RIGHT)
def test_a_value_of_the_annotation_has_no_fault(value, annotation):
    assert value_types.fault(value, annotation) == ""


@pytest.mark.parametrize(("value", "annotation", "message"), WRONG)
def test_a_fault_says_what_was_expected_and_what_was_found(value, annotation, message):
    fault = value_types.fault(value, annotation)
    assert message in fault
    assert len(fault) < 300


@pytest.mark.parametrize("method", catalog.names("methods"))
def test_every_number_of_a_method_has_a_range_and_none_may_be_negative(method):
    for name, one in catalog.hyperparameters(method).items():
        assert value_types.fault(-1, one.annotation), name
        assert value_types.fault(-0.5, one.annotation), name
    for name in {"latent", "hidden", "components", "batch_size", "max_epochs", "patience"} & set(
        catalog.hyperparameters(method)
    ):
        assert value_types.fault(0, catalog.hyperparameters(method)[name].annotation), name


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        (
            'Annotated[int, "1 or more"]',
            1,
            "toy: x: '1 or more' is no range; write such as 'at least 0 and below 1'",
        ),
        ('Annotated[int, "at least one"]', 1, "toy: x: 'at least one' is no range"),
        (
            'Annotated[int, "at least 1"]',
            0,
            "toy: x: the default is none of its own values: expected",
        ),
    ],
)
def test_an_annotation_that_cannot_be_kept_is_refused(annotation, default, message):
    with pytest.raises(UserError) as refused:
        config_checks.check_declared(
            "toy", {"x": Hyperparameter(annotation, default)}, defaults=True
        )
    assert message in str(refused.value)


TEXTS = [
    (b"\x00\xff\xfe binary", "is no text in UTF-8, from byte 1 on"),
    (b"datasets: {a: [", "not valid YAML"),
    (
        b"runs: {mvae: {beta: 1}}\ndatasets: {simulated: }\nruns: {cca: }",
        "the key 'runs' stands twice in one mapping, in lines 1 and 3",
    ),
    (
        b"datasets:\n  simulated:\n    cells: 10\n    cells: 20",
        "the key 'cells' stands twice in one mapping, in lines 3 and 4",
    ),
    (b"seeds: 2020-13-45", "not valid YAML"),
    (b"a: !!python/object:os.system {}", "not valid YAML"),
    (b"datasets: &a {b: *a}", "nested more than 20 deep, or a YAML alias that holds itself"),
    (b"[" * 3000, "not valid YAML"),
    (b"", "top level: expected a mapping, found None"),
    (b"- a", "top level: expected a mapping, found ['a']"),
    (b"just a text", "top level: expected a mapping, found 'just a text'"),
]


@pytest.mark.parametrize(("content", "message"), TEXTS)
@pytest.mark.parametrize("what", ["config", "registry"])
def test_a_file_that_is_no_config_and_no_registry_is_named(tmp_path, content, message, what):
    file = tmp_path / "my.yaml"
    file.write_bytes(content)
    named = {"datasets": {"simulated": {}}, "registry": str(file)}
    with pytest.raises(UserError) as refused:
        settings.read(file) if what == "config" else settings.load(named)
    assert message in str(refused.value)
    assert "my.yaml" in str(refused.value) or what == "config"
    assert what == "config" or str(refused.value).startswith("config key registry: ")


def test_a_registry_that_is_a_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=f"config key registry: {tmp_path}: cannot be read"):
        settings.load({"datasets": {"simulated": {}}, "registry": str(tmp_path)})


def test_a_merge_of_yaml_may_say_a_key_again(tmp_path):
    (tmp_path / "my.yaml").write_text("a: &a {b: 1, c: 2}\nd: {<<: *a, b: 3}")
    assert config_checks.read_yaml(tmp_path / "my.yaml")["d"] == {"b": 3, "c": 2}
