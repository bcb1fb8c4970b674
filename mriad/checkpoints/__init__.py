"""A trained detector as a file: what it holds, and what it may name."""
