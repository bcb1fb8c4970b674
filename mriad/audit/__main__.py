"""Print what a data set gives away without any model. See conf/audit.yaml and --help."""

from mriad.cli import run_task

if __name__ == "__main__":
    run_task("audit")
