"""Train a detector on healthy scans, calibrate its threshold, test it. See conf/train.yaml and --help."""

from mriad.command import Task, run


def load_task() -> Task:
    """Import the task; heavy, so only once the options are known to be right."""
    from mriad.tasks.train import train

    return train


if __name__ == "__main__":
    run(load_task, config="train")
