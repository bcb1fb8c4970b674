from types import SimpleNamespace

from torch import nn

from mriad.tasks import testing


def test_measuring_leaves_the_detector_in_evaluation_mode(monkeypatch):
    detector = nn.Dropout()
    detector.record, detector.fits_scale = {"calibration": {}}, False
    seen = SimpleNamespace(rows=None, maps=None, table=lambda scans: None)
    monkeypatch.setattr(testing, "ScanScores", lambda: seen)
    monkeypatch.setattr(testing, "_one_pass", lambda *_: SimpleNamespace(test=lambda module, *_, **__: module.train()))
    monkeypatch.setattr(testing.Calibration, "from_record", lambda record: None)
    monkeypatch.setattr(testing.Result, "measure", lambda **_: "result")
    assert testing.measure(detector, SimpleNamespace(scans=lambda role: None), None) == "result"
    assert not detector.training
