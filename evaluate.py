"""Test a trained detector again, under another threshold, or on other data. See conf/evaluate.yaml and --help."""

from mriad.cli import run_task

if __name__ == "__main__":
    run_task("evaluate")
