"""From a source to a split: readers, curation, links, preprocessing, scenarios."""
