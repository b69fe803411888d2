"""One file per dataset, and what turns a source into views: readers, preprocessing, scenarios."""
