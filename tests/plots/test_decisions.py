import numpy as np
import pytest
from matplotlib.patches import StepPatch

from mriad.plots import confusion_matrix, score_histogram


def bars(figure):
    return [patch.get_data() for patch in figure.axes[0].patches if isinstance(patch, StepPatch) and patch.get_fill()]


RNG = np.random.default_rng(0)
SPREADS = {
    "normal": RNG.normal(size=200),
    "heavy tail": RNG.lognormal(0, 2, size=200),
    "heavy tail with a zero": np.append(RNG.lognormal(0, 2, size=199), 0.0),
    "all alike": np.full(200, 0.3),
    "float32 tail": RNG.lognormal(0, 2, size=200).astype(np.float32),
}


@pytest.mark.parametrize("spread", SPREADS)
def test_histogram_covers_every_score_in_shared_bins(spread):
    scores, labels = SPREADS[spread], np.repeat([0, 1], [150, 50])
    figure = score_histogram(labels, scores, 0.5)
    healthy, anomalous = bars(figure)
    np.testing.assert_array_equal(healthy.edges, anomalous.edges)
    assert healthy.values.sum() == pytest.approx(100)
    assert anomalous.values.sum() == pytest.approx(100)
    figure.canvas.draw()


def test_histogram_axis_is_logarithmic_only_over_more_than_two_decades():
    labels = np.repeat([0, 1], [150, 50])
    scales = {name: score_histogram(labels, scores, 1.0).axes[0].get_xscale() for name, scores in SPREADS.items()}
    assert scales == {
        "normal": "linear",
        "heavy tail": "log",
        "heavy tail with a zero": "linear",
        "all alike": "linear",
        "float32 tail": "log",
    }
    one_near_zero = np.append(np.linspace(0.5, 1, 199), 1e-9)
    assert score_histogram(labels, one_near_zero, 1.0).axes[0].get_xscale() == "linear"


def test_threshold_beyond_the_scores_stays_in_view():
    figure = score_histogram(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3]), 0.9)
    low, high = figure.axes[0].get_xlim()
    assert low < 0.1 and high > 0.9


@pytest.mark.parametrize("threshold", [np.inf, -1.0])
def test_threshold_that_cannot_be_drawn_does_not_stop_the_figure(threshold):
    score_histogram(np.repeat([0, 1], 100), SPREADS["heavy tail"], threshold).canvas.draw()


def test_histogram_of_one_label_has_one_group():
    assert len(bars(score_histogram(np.zeros(5, dtype=int), np.arange(5.0), 2.0))) == 1


def test_confusion_cells_tell_counts_and_row_percentages():
    texts = {text.get_position(): text.get_text() for text in confusion_matrix([[90, 10], [1200, 3600]]).axes[0].texts}
    cells = {(round(x), round(y - 0.04)): [] for x, y in texts}
    for (x, y), text in texts.items():
        cells[round(x), round(y - 0.04)].append(text)
    assert cells == {
        (0, 0): ["90", "90.0 %"],
        (1, 0): ["10", "10.0 %"],
        (0, 1): ["1,200", "25.0 %"],
        (1, 1): ["3,600", "75.0 %"],
    }


def test_confusion_row_without_scans_says_so():
    texts = [text.get_text() for text in confusion_matrix(np.array([[3, 1], [0, 0]])).axes[0].texts]
    assert texts.count("no scans") == 2
