"""A result in, files for a person or a program out: maps and masks on the scan's own grid, tables."""
