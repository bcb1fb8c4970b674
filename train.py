"""Train a detector on healthy scans, calibrate its threshold, test it. See conf/train.yaml and --help."""

from mriad.cli import run_task

if __name__ == "__main__":
    run_task("train")
