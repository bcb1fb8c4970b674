"""A file in, a scan out."""
