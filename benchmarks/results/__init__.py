"""The tables of the docs as data: what is measured (a YAML file), and what was found (a CSV file beside it)."""
