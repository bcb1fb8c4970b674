"""Score scans with a trained detector. See conf/predict.yaml and --help."""

from mriad.command import Task, run


def load_task() -> Task:
    """Import the task; heavy, so only once the options are known to be right."""
    from mriad.tasks.predict import predict

    return predict


if __name__ == "__main__":
    run(load_task, config="predict")
