"""Score scans with a trained detector. See conf/predict.yaml and --help."""

from mriad.cli import run_task

if __name__ == "__main__":
    run_task("predict")
