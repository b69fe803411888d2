"""One file per dataset: where its bytes become cells."""
