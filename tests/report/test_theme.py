"""Labels, colours and order of what is shown."""

import pandas as pd
import pytest
from conftest import REPOSITORY
from synthetic_results import KNOWN, METHODS

from mosaicbench.catalog import catalog
from mosaicbench.catalog.run_metadata import KINDS, RunMetadata
from mosaicbench.errors import UserError
from mosaicbench.report import theme


def test_an_ablation_takes_its_methods_colour_and_methods_differ(results):
    known = results.theme
    assert known.colour("mvae-beta4") == known.colour("mvae")
    assert known.label("runs", "mvae-beta4") == "mvae-beta4"
    assert len({known.colour(method) for method in KNOWN}) == len(KNOWN)
    order = known.order("runs", reversed(METHODS))
    assert [known.run_metadata.kind(run) for run in order] == sorted(
        (known.run_metadata.kind(run) for run in order), key=KINDS.index
    )
    assert order.index("mvae-beta4") == order.index("mvae") + 1


def test_a_method_that_this_project_made_up_and_its_ablations_are_marked_whatever_they_are_called():
    cards = {"methods": {"ours": {"label": "Ours", "in_house": True}, "mvae": {"label": "MVAE"}}}
    display = {room: {} for room in theme.NAMED} | {"runs": {"renamed": {"label": "Best"}}}
    methods = {"ours-beta4": "ours", "renamed": "ours", "mvae-beta4": "mvae"}
    label = theme.Theme(display, RunMetadata(cards, methods)).label
    own = [label("runs", run) for run in ("ours", "ours-beta4", "renamed")]
    assert own == ["Ours (own)", "ours-beta4 (own)", "Best (own)"]
    assert label("methods", "ours") == "Ours (own)"
    others = [label("runs", run) for run in ("mvae", "mvae-beta4")]
    assert [*others, label("datasets", "ours")] == ["MVAE", "mvae-beta4", "ours"]
    marked = [name for name, card in catalog.cards("methods").items() if card.get("in_house")]
    assert marked == ["contrastive_vae", "contrastive_vae_sup"]


@pytest.mark.parametrize(
    "text", ["methods: [", "colors: {}", "methods: {mvae: {color: red}}", "methods: {mvae: MVAE}"]
)
def test_a_bad_display_file_is_refused_by_name(tmp_path, text):
    (tmp_path / "display.yaml").write_text(text)
    with pytest.raises(UserError, match=r"display\.yaml"):
        theme.read_theme(pd.DataFrame({"run": [], "method": []}), tmp_path / "display.yaml")


def test_a_label_stands_in_one_place():
    display = theme._read_display(REPOSITORY / "config/display.yaml")
    for room in ("methods", "metrics", "datasets"):
        twice = [name for name in catalog.names(room) if "label" in display[room].get(name, {})]
        assert not twice, f"{room} whose card has a label, too"
