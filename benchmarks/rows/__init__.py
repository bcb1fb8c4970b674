"""The rows of the table, one idea each; ``ROWS`` names them in the order in which they are measured.

A row is a module with a function ``measure``, which is given a ``Bench`` and yields lines of the table.
"""

ROWS = (
    "first_run",
    "command_line",
    "bf16",
    "framework",
    "notebook",
    "predict",
    "evaluate",
    "cache",
    "fixed_cost",
    "busy",
    "metrics",
    "logging_cost",
    "growth",
    "memory",
    "volume_read",
    "volume_predict",
    "volume_evaluate",
    "volume_cache",
    "gpu",
)
