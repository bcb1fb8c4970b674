import numpy as np
import pandas as pd
import pytest

from mriad.plots import loss_curves


@pytest.fixture
def history():
    nan = np.nan
    return pd.DataFrame(  # as Lightning logs it: training and validation in rows of their own
        {
            "epoch": [0, 0, 1, 1, 2, 2],
            "train/loss": [nan, 3.0, nan, 2.0, nan, 1.0],
            "val/loss": [4.0, nan, 2.5, nan, 2.7, nan],
            "val/auroc": [0.6, nan, 0.7, nan, 0.8, nan],
        },
        index=[7] * 6,
    )


def line(ax, label):
    (found,) = [line for line in ax.lines if line.get_label().startswith(label)]
    return found.get_xdata(), found.get_ydata()


def test_rows_without_a_value_leave_no_gap(history):
    ax = loss_curves(history).axes[0]
    np.testing.assert_array_equal(line(ax, "train"), [[0, 1, 2], [3, 2, 1]])
    np.testing.assert_array_equal(line(ax, "validation loss"), [[0, 1, 2], [4, 2.5, 2.7]])


def test_best_epoch_is_the_lowest_validation_loss(history):
    x, y = line(loss_curves(history).axes[0], "best epoch 1 (loss 2.5)")
    assert (x[0], y[0]) == (1, 2.5)


def test_auroc_has_an_axis_of_its_own_only_where_known(history):
    figure = loss_curves(history)
    np.testing.assert_array_equal(line(figure.axes[1], "validation AUROC")[1], [0.6, 0.7, 0.8])
    assert len(loss_curves(history.drop(columns="val/auroc")).axes) == 1


def test_training_without_validation_is_drawn(history):
    figure = loss_curves(history[["epoch", "train/loss"]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train loss"]


@pytest.mark.parametrize(("first", "scale"), [(4.0, "linear"), (4000.0, "log"), (-4.0, "linear")])
def test_loss_axis_is_logarithmic_over_more_than_two_decades(history, first, scale):
    history["val/loss"] = [first, *history["val/loss"][1:]]
    assert loss_curves(history).axes[0].get_yscale() == scale
