"""The report in a browser: it fits a phone, and its tables sort, filter and give reasons."""

from urllib.parse import unquote

import pytest
from browser import Browser, chromium
from synthetic_results import KNOWN, METHODS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        chromium() is None,
        reason="no Chromium on this machine (Debian's package is called chromium)",
    ),
]
DESKTOP, PHONE = 1400, 390
TABLE = "document.querySelector('#split-1 table')"
GRID = "document.querySelector('#split-1 .grid')"
FOSCTTM = f"[...{TABLE}.tHead.rows[0].cells].find(cell => cell.textContent.startsWith('FOSCTTM'))"
KEYS = f"[...{TABLE}.tBodies[0].rows].map(row => row.cells[{FOSCTTM}.cellIndex].dataset.sort)"
RUNS = f"[...{TABLE}.tBodies[0].rows].filter(row => row.offsetHeight).map(row => row.dataset.run)"


@pytest.fixture(scope="module")
def window():
    with Browser() as browser:
        yield browser


@pytest.mark.parametrize(("width", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_a_page_requests_nothing_and_fits_its_window(results, window, width, dark):
    window.open(results.folder / "report.html", width=width, dark=dark)
    window.run("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    window.run("document.querySelectorAll('img').forEach(image => { image.loading = 'eager'; })")
    window.wait("[...document.images].every(image => image.complete)")
    assert window.run("document.documentElement.scrollWidth") <= width
    assert window.run("[...document.images].filter(image => !image.naturalWidth).length") == 0
    drawn = list((results.folder / "figures").rglob("*.svg"))
    assert window.run("document.images.length") == len(drawn)
    assert window.console == []
    assert {request for request in window.requests if not request.startswith("data:")} == {
        (results.folder / "report.html").as_uri()
    }
    assert window.run("matchMedia('(prefers-color-scheme: dark)').matches") == dark


def test_the_console_and_the_requests_of_a_page_are_heard(tmp_path, window):
    """Without this, the test above could not fail."""
    page = tmp_path / "wrong.html"
    page.write_text(
        "<script>console.error('heard')</script><img src='absent.png'><script>throw new Error('thrown')</script>"
    )
    window.open(page, width=DESKTOP)
    window.wait("document.images[0].complete")
    assert any("heard" in message for message in window.console)
    assert any("thrown" in message for message in window.console)
    assert (tmp_path / "absent.png").as_uri() in window.requests


def numbers(keys):
    return [float(key) for key in keys if key != ""]


def test_a_table_sorts_after_a_click_and_absent_values_stay_last(results, window):
    window.open(results.folder / "report.html", width=DESKTOP)
    before = window.run(KEYS)
    assert numbers(before) != sorted(numbers(before))
    assert "" in before[: len(numbers(before))]
    # For FOSCTTM, less is better and comes first.
    for direction, backwards in (("ascending", False), ("descending", True)):
        expected = sorted((key for key in before if key != ""), key=float, reverse=backwards)
        window.click(f"{FOSCTTM}.querySelector('button')")
        window.wait(f"{FOSCTTM}.ariaSort === '{direction}' && {KEYS}[0] === '{expected[0]}'")
        after = window.run(KEYS)
        assert numbers(after) == [float(key) for key in expected]
        assert after[len(expected) :] == [""] * before.count("")
    assert window.run(f"{TABLE}.querySelectorAll('[aria-sort]').length") == 1
    window.run(f"{TABLE}.tHead.querySelector('button').focus()")
    window.enter()  # sorts by name
    names = f"[...{TABLE}.tBodies[0].rows].map(row => row.cells[0].textContent.trim())"
    window.wait(f"{names}[0] === [...{names}].sort((x, y) => x.localeCompare(y))[0]")
    assert window.run(names) == window.run(f"{names}.sort((x, y) => x.localeCompare(y))")
    assert window.console == []


def test_rows_filter_by_words_and_by_kind(results, window):
    window.open(results.folder / "report.html", width=DESKTOP)
    every = window.run(RUNS)
    assert set(every) == set(METHODS)
    window.click(f"{GRID}.querySelector('input[type=search]')")
    window.write("VAE model")
    kinds = {run: KNOWN[method][0] for run, method in METHODS.items()}
    models = [run for run in every if "vae" in run and kinds[run] == "model"]
    window.wait(f"{RUNS}.length < {len(every)}")
    assert window.run(RUNS) == models
    shown = f"{len(models)} of {len(every)} rows"
    assert window.run(f"{GRID}.querySelector('output').textContent") == shown
    window.run(
        f"(e => {{ e.value = ''; e.dispatchEvent(new Event('input')); }})({GRID}.querySelector('input'))"
    )
    assert window.run(RUNS) == every
    chip = f"[...{GRID}.querySelectorAll('.chip')].find(chip => chip.textContent === 'control')"
    window.click(chip)
    assert window.run(RUNS) == [run for run in every if kinds[run] == "control"]
    assert window.run(f"{chip}.ariaPressed") == "true"
    window.click(chip)
    assert window.run(RUNS) == every


def test_a_dash_says_why_when_tapped(results, window):
    window.open(results.folder / "report.html", width=PHONE)
    box = "document.getElementById('reason')"
    assert window.run(f"{box}.hidden")
    window.click("document.querySelector('#split-1 tr[data-run=ridge] button.why')")
    window.wait(f"!{box}.hidden")
    assert "not given by this method" in window.run(f"{box}.textContent")
    left, right = window.run(f"(r => [r.left, r.right])({box}.getBoundingClientRect())")
    assert 0 <= left < right <= PHONE
    window.click("document.querySelector('#split-1 h2')")
    assert window.run(f"{box}.hidden")


def test_figures_fit_unfold_and_grow(results, window):
    window.open(results.folder / "report.html", width=PHONE)
    picture = "document.querySelector('#split-2-scores_by_run img')"
    window.run("location.hash = 'split-2-scores_by_run'")
    window.wait("document.getElementById('split-2-scores_by_run').open")
    window.wait(f"{picture}.complete && {picture}.getBoundingClientRect().width > 0")
    assert window.run(f"{picture}.getBoundingClientRect().width") <= PHONE
    window.click("document.querySelector('#split-2-scores_by_run button.enlarge')")
    assert window.run(f"{picture}.getBoundingClientRect().width") > 2 * PHONE
    assert window.run("document.documentElement.scrollWidth") <= PHONE


def test_a_table_is_saved_as_it_is_shown_and_a_run_leads_to_its_card(results, window):
    window.open(results.folder / "report.html", width=DESKTOP)
    window.run(
        "HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, this.href]; }"
    )
    window.click(
        f"[...{GRID}.querySelectorAll('.save')].find(one => one.textContent === 'Save TSV')"
    )
    name, address = window.run("window.saved")
    assert name == "Headline_scores_Pair_paired.tsv"
    rows = [row.split("\t") for row in unquote(address).split(",", 1)[1].rstrip("\n").split("\n")]
    assert rows[0][:3] == ["Run", "Kind", "FOSCTTM ↓"]
    assert len(rows) == 1 + len(METHODS)
    assert {len(row) for row in rows} == {len(rows[0])}
    window.click("document.querySelector('#split-1 tr[data-run=ridge] td a')")
    window.wait("document.getElementById('method-ridge').closest('details').open")
    assert window.run(
        "[...document.querySelectorAll('a[href]')].every(one => /^#|^https:/.test(one.getAttribute('href')))"
    )
    links = "[...document.querySelectorAll('a[href^=\"#m\"]')].map(one => one.hash.slice(1))"
    assert window.run(f"{links}.filter(id => !document.getElementById(id))") == []
