import numpy as np
import pandas as pd
import pytest

from mriad.tasks.predict import _warn_of_drift
from mriad.thresholds import Calibration, Quantile


def scores(low, count=20):
    groups = [f"p{row}" for row in range(count)]
    return pd.DataFrame({"label": 0, "score": low + np.linspace(0, 1, count), "group": groups})


@pytest.mark.parametrize(("low", "off"), [(10, False), (0, True)])
def test_pictures_are_compared_with_the_healthy_pictures_and_not_with_volumes(low, off, caplog):
    calibration = Calibration.fit(Quantile(q=0.9), scores(0), pixel_threshold=0.5, picture_scores=scores(10))
    rows = [
        {"path": f"{row}.png", "score": score, "threshold": calibration.pictures.threshold}
        for row, score in enumerate(scores(low)["score"])
    ]
    _warn_of_drift(rows, calibration)
    assert ("lie off those of the healthy scans" in caplog.text) == off
