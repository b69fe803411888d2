"""From what a run gave, and what is known of its cells, to scores."""
