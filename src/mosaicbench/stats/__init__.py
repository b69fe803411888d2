"""What the numbers can bear: tables in, tables out."""
