"""A saved model and later cells: match, transform, embed, impute, transfer types."""
