import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve
from sklearn.metrics import roc_curve as roc_points

from mriad.errors import MriadError
from mriad.plots import pr_curve, roc_curve


@pytest.fixture
def scored():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [60, 30])
    scores = np.round(rng.normal(loc=labels, size=90), 1)  # ties within and between labels
    return labels, scores


def operating_point(figure):
    (point,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    return point.get_xdata()[0], point.get_ydata()[0]


@pytest.mark.parametrize("threshold", [-0.5, 0.3, 0.7, 1.05])
def test_roc_operating_point_is_the_rates_of_the_decisions_and_a_vertex_of_the_curve(scored, threshold):
    labels, scores = scored
    point = operating_point(roc_curve(labels, scores, threshold))
    called = scores > threshold
    assert point == (called[labels == 0].mean(), called[labels == 1].mean())
    rate, recall, _ = roc_points(labels, scores, drop_intermediate=False)
    assert np.isclose(np.column_stack([rate, recall]), point).all(axis=1).any()


@pytest.mark.parametrize("threshold", [-0.5, 0.3, 0.7, 1.05])
def test_pr_operating_point_is_recall_and_precision_of_the_decisions(scored, threshold):
    labels, scores = scored
    point = operating_point(pr_curve(labels, scores, threshold))
    called = scores > threshold
    assert point == (called[labels == 1].mean(), labels[called].mean())
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert np.isclose(np.column_stack([recall, precision]), point).all(axis=1).any()


def test_pr_curve_draws_no_operating_point_where_precision_is_undefined(scored):
    labels, scores = scored
    figure = pr_curve(labels, scores, scores.max())
    assert not [line for line in figure.axes[0].lines if line.get_marker() == "o"]


def test_base_rate_line_stands_at_the_share_of_anomalous_scans(scored):
    figure = pr_curve(*scored, 0.5)
    (line,) = [line for line in figure.axes[0].lines if line.get_label().startswith("base rate")]
    assert set(line.get_ydata()) == {1 / 3}


def test_legends_tell_the_areas():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    texts = [text.get_text() for text in roc_curve(labels, scores, 0.5).axes[0].get_legend().get_texts()]
    assert "AUROC 0.750" in texts
    texts = [text.get_text() for text in pr_curve(labels, scores, 0.5).axes[0].get_legend().get_texts()]
    assert "average precision 0.833" in texts


@pytest.mark.parametrize("draw", [roc_curve, pr_curve])
@pytest.mark.parametrize("label", [0, 1])
def test_curves_of_one_label_are_refused(draw, label):
    with pytest.raises(MriadError, match="needs healthy and anomalous scans"):
        draw(np.full(3, label), np.arange(3.0), 1.0)
