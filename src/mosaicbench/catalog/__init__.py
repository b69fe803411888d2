"""What there is: methods, metrics, datasets and figures, read from the cards in their files."""
