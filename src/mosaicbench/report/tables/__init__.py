"""The tables that hold text: for people, and for the report."""
