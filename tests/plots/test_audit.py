import pandas as pd
import pytest

from mriad.plots.audit import trivial_features

FEATURES = pd.DataFrame(
    [
        ("nearest_train", "scaled", 0.9, "+", 0.85, 0.95),
        ("mean", "raw", 0.8, "-", 0.75, 0.85),
        ("mean", "scaled", 0.6, "+", 0.5, 0.7),
        ("format", "raw", 0.5, "", 0.5, 0.5),
    ],
    columns=["feature", "stage", "auroc", "sign", "low", "high"],
)


def points(figure):
    return {
        container.get_label(): sorted((round(x, 3), round(y)) for x, y in container.lines[0].get_xydata())
        for container in figure.axes[0].containers
    }


def test_each_stage_has_its_points_in_the_rows_of_their_features():
    figure = trivial_features(FEATURES)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["nearest train", "mean", "format"]
    assert points(figure) == {
        "original image": [(0.5, 2), (0.8, 1)],
        "slice the network sees": [(0.6, 1), (0.9, 0)],
    }
    low, high = figure.axes[0].get_ylim()
    assert low > high  # the best stands on top


def test_bars_are_the_intervals():
    container = trivial_features(FEATURES).axes[0].containers[0]
    ends = sorted(segment[:, 0].tolist() for segment in container.lines[2][0].get_segments())
    assert ends == [pytest.approx([0.5, 0.5]), pytest.approx([0.75, 0.85])]


def test_signs_stand_beside_the_bars():
    assert [text.get_text() for text in trivial_features(FEATURES).axes[0].texts] == ["\N{MINUS SIGN}", "", "+", "+"]


def test_one_stage_alone_can_be_drawn():
    assert set(points(trivial_features(FEATURES[FEATURES["stage"] == "raw"]))) == {"original image"}


def test_a_wide_interval_stays_in_view():
    wide = FEATURES.assign(low=0.2)
    assert trivial_features(wide).axes[0].get_xlim()[0] < 0.2
