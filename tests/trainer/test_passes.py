from types import SimpleNamespace

from torch import nn

from mriad.trainer import passes


def test_measuring_leaves_the_detector_in_evaluation_mode(monkeypatch):
    detector = nn.Dropout()
    detector.record, detector.fits_scale = {"calibration": {}}, False
    seen = SimpleNamespace(rows=None, maps=None, slice_scores=None, table=lambda scans: None)
    monkeypatch.setattr(passes, "ScanScores", lambda: seen)
    monkeypatch.setattr(passes, "_one_pass", lambda *_: SimpleNamespace(test=lambda module, *_, **__: module.train()))
    monkeypatch.setattr(passes.Calibration, "from_record", lambda record: None)
    monkeypatch.setattr(passes.Result, "measure", lambda **_: "result")
    data = SimpleNamespace(scans=lambda role: None, cache=SimpleNamespace(pixel_area=lambda rows: None))
    assert passes.measure(detector, data, None) == "result"
    assert not detector.training
