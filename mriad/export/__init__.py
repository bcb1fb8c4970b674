"""A detector for programs without mriad and torch: its graph, what stands round it as JSON, an example."""

from pathlib import Path

EXAMPLE = Path(__file__).with_name("example.py")
"""A program of its own, which is written beside each graph and never imported."""
