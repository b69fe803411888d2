"""From a source to a view: readers, curation, links, preprocessing, scenarios."""
