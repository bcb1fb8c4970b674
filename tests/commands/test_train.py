from .command_line import TrainedRun


def test_finishes(ae: TrainedRun) -> None:
    print(ae.params, ae.metrics, ae.tags, ae.files())
    assert ae.status == "FINISHED"
