"""Print what a data set gives away without any model. See conf/audit.yaml and --help."""

from mriad.command import Task, run


def load_task() -> Task:
    """Import the task; heavy, so only once the options are known to be right."""
    from mriad.tasks.audit import audit

    return audit


if __name__ == "__main__":
    run(load_task, config="audit")
