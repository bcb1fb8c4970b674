"""Test a trained detector again, under another threshold, or on other data. See conf/evaluate.yaml and --help."""

from mriad.command import Task, run


def load_task() -> Task:
    """Import the task; heavy, so only once the options are known to be right."""
    from mriad.tasks.evaluate import evaluate

    return evaluate


if __name__ == "__main__":
    run(load_task, config="evaluate")
