import numpy as np
import pytest

from mriad.plots import MetricPanel, method_comparison


def panel(**changes):
    values = {
        "title": "AUROC",
        "means": np.array([0.9, 0.7]),
        "lows": np.array([0.85, 0.6]),
        "highs": np.array([0.95, 0.8]),
        "seeds": [np.array([0.88, 0.92]), np.array([0.7])],
        "chance": 0.5,
    }
    return MetricPanel(**(values | changes))


def line(ax, label):
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return np.column_stack([found.get_xdata(), found.get_ydata()])


def test_means_and_intervals_stand_in_the_row_of_their_method():
    ax = method_comparison(["vae", "ae"], [panel()]).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["vae", "ae"]
    assert ax.get_yticks().tolist() == [0, 1] and ax.yaxis_inverted()
    assert line(ax, "mean").tolist() == [[0.9, 0], [0.7, 1]]
    (intervals,) = ax.collections
    assert [s.tolist() for s in intervals.get_segments()] == [[[0.85, 0], [0.95, 0]], [[0.6, 1], [0.8, 1]]]


def test_only_several_seeds_are_drawn_beside_their_mean():
    ax = method_comparison(["vae", "ae"], [panel()]).axes[0]
    dots = line(ax, "one seed")
    assert dots[:, 0].tolist() == [0.88, 0.92]
    assert (dots[:, 1] > 0).all() and (dots[:, 1] < 0.5).all()
    alone = method_comparison(["vae", "ae"], [panel(seeds=[np.array([0.9]), np.array([0.7])])])
    assert "one seed" not in [text.get_text() for text in alone.legends[0].get_texts()]


@pytest.mark.parametrize(("chance", "drawn"), [(0.65, True), (0.1, False)])
def test_chance_is_drawn_where_it_lies_among_the_values(chance, drawn):
    figure = method_comparison(["vae", "ae"], [panel(), panel(title="AP", chance=chance)])
    assert ("chance" in [line.get_label() for line in figure.axes[1].lines]) == drawn
    assert ("chance" in [text.get_text() for text in figure.legends[0].get_texts()]) == drawn


def test_each_metric_has_a_panel():
    figure = method_comparison(["vae", "ae"], [panel(), panel(title="AP", means=np.array([0.5, 0.4]))])
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["AUROC", "AP"]
    assert line(figure.axes[1], "mean")[:, 0].tolist() == [0.5, 0.4]


def test_long_names_are_broken_into_lines_and_stay_inside_the_figure():
    figure = method_comparison(["vae beta=0.005 latent_dim=128 max_epochs=50 score=blurred", "ae"], [panel()])
    figure.canvas.draw()
    (label, _) = figure.axes[0].get_yticklabels()
    assert "\n" in label.get_text()
    assert label.get_window_extent().x0 >= 0
