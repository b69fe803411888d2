"""The head of the report: what was read, a row per modality, and each warning in plain sight."""

from synthetic_results import WARNING

from mosaicbench.report.page import reference_sections


def test_the_table_has_a_row_per_modality_and_says_where_values_are_from(results):
    assert results.tables["datasets"]["modality"].tolist() == ["rna", "adt"]
    grid = reference_sections.datasheets(results.tables["datasets"], results.theme)
    heads = [column.label for column in grid.columns]
    rna, adt = ([cell.text for cell in cells] for _, cells in grid.rows)
    assert rna[:7] == ["Pair", "RNA", "1,200", "1,160", "46", "33", "808"]
    assert rna[heads.index("Values from")] == "rna.h5ad, X"
    assert adt[1] == "ADT"
    assert "Features left out" not in heads  # as no dataset has any


def test_a_warning_is_there_once_with_all_its_datasets(results):
    found = reference_sections.warnings(results.tables["warnings"], results.theme)
    assert list(found) == [WARNING, "no pairs"]
    assert (found[WARNING], found["no pairs"]) == ("Pair", "Pair, triple")


def test_the_page_links_to_what_was_read_and_its_warnings(results):
    verdict, read = results.html.split('<section id="read">')
    assert '<a href="#read">2 warnings about the data</a>' in verdict
    head, _ = read.split("</section>", 1)
    assert "40 cells of &lt;adt&gt; were never stained" in head
    assert "B cell: 700; T cell: 500" in head
