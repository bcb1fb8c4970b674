"""python at_once.py URI NUMBER [nodes]: so many processes open a run in a store at the same moment.

With ``nodes`` each has a temporary folder of its own, as on the nodes of a cluster, where nothing is locked for others.
"""

import multiprocessing
import sys
import tempfile

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  heavy: imported once, before the processes part

from mriad.tracking.tracker import Tracker


def job(uri, number, ready, nodes):
    if nodes:
        tempfile.tempdir = tempfile.mkdtemp()
    ready.wait()
    with Tracker(tracking_uri=uri, experiment="shared").run(name=f"job {number}", tags={}) as run:
        run.log_metrics({"number": number})


if __name__ == "__main__":
    uri, count, *rest = sys.argv[1:]
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(int(count))
    jobs = [context.Process(target=job, args=(uri, number, ready, bool(rest))) for number in range(int(count))]
    for one in jobs:
        one.start()
    for one in jobs:
        one.join()
    sys.exit(sum(one.exitcode != 0 for one in jobs))
