"""A kept model meets cells that come later: they are matched, transformed, embedded, imputed and given types."""
