import numpy as np
import pandas as pd
import pytest

from mriad.models import Detector
from mriad.report.figures import gallery, result_figures, training_figures


class NoReconstruction(Detector):
    def anomaly_map(self, x):
        return x


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def titles_of(figure, outcome):
    """Captions of the scans below the heading of an outcome."""
    words = texts(figure)
    start = next(index for index, text in enumerate(words) if text.startswith(f"{outcome}s ("))
    captions = []
    for text in words[start + 1 :]:
        if text.startswith(("true ", "false ")):
            break
        if ", score " in text:
            captions.append(text)
    return captions


def test_a_test_with_both_labels_has_all_figures(mixed, vae):
    assert set(result_figures(mixed, vae)) == {"roc", "pr", "score_histogram", "confusion_matrix", "gallery"}


@pytest.mark.parametrize("name", ["healthy", "glioma"])
def test_a_test_with_one_label_has_no_curves(measure, vae, name):
    figures = result_figures(measure([name] * 3, [0.2, 0.4, 0.6]), vae)
    assert set(figures) == {"score_histogram", "confusion_matrix", "gallery"}


def test_the_gallery_shows_scans_of_each_outcome(mixed, vae):
    words = texts(gallery(mixed, vae))
    for heading in ("true positives (4)", "false positives (2)", "false negatives (2)", "true negatives (4)"):
        assert heading in words
    assert titles_of(gallery(mixed, vae), "false negative") == ["glioma, score 0.45", "pituitary tumour, score 0.35"]


def test_the_gallery_spreads_over_the_scores_of_an_outcome_from_high_to_low(measure, vae):
    result = measure(["healthy"] * 9, np.linspace(0.01, 0.09, 9))
    captions = titles_of(gallery(result, vae), "true negative")
    assert captions[0] == "healthy, score 0.09"
    assert captions[-1] == "healthy, score 0.01"
    assert len(captions) == 4
    assert captions == sorted(captions, reverse=True)


def test_the_gallery_has_no_heading_for_an_outcome_that_did_not_happen(measure, vae):
    words = texts(gallery(measure(["healthy", "glioma"], [0.1, 0.9]), vae))
    assert [text for text in words if "false" in text] == []


@pytest.mark.parametrize("reconstructs", [True, False])
def test_the_reconstruction_column_is_there_where_there_is_a_reconstruction(mixed, vae, reconstructs):
    detector = vae if reconstructs else NoReconstruction(score=vae.score)
    assert ("reconstruction" in texts(gallery(mixed, detector))) == reconstructs


def test_training_figures_of_a_vae_show_its_latent_space(mixed, vae):
    history = pd.DataFrame({"epoch": [0, 1], "train/loss": [1.0, 0.5], "val/loss": [0.9, 0.6]})
    assert set(training_figures(history, mixed, vae)) == {"loss", "latent_interpolation", "prior_samples"}


def test_training_figures_of_another_detector_are_its_losses(mixed, vae):
    other = NoReconstruction(score=vae.score)
    history = pd.DataFrame({"epoch": [0], "train/loss": [1.0]})
    assert set(training_figures(history, mixed, other)) == {"loss"}
    assert training_figures(pd.DataFrame({"epoch": []}), mixed, other) == {}
    assert training_figures(pd.DataFrame({"epoch": [0], "val/auroc": [0.8]}), mixed, other) == {}


@pytest.mark.parametrize("name", ["toy", "other"])
def test_training_figures_show_the_synthetic_anomalies_where_there_are_any(measure, vae, name):
    result = measure(["healthy", "glioma"], [0.2, 0.8], data=name)
    examples = {"blob": (np.zeros((3, 8, 8), dtype=np.float32), np.eye(8, dtype=bool)[None].repeat(3, axis=0))}
    other, history = NoReconstruction(score=vae.score), pd.DataFrame({"epoch": []})
    figures = training_figures(history, result, other, examples)
    assert set(figures) == {"anomalies"}
    assert {"blob", f"Synthetic anomalies in scans of {name}"} <= set(texts(figures["anomalies"]))
    assert training_figures(history, result, other, {}) == {}


def test_a_test_of_one_scan_can_be_drawn(measure, vae):
    result = measure(["healthy"], [0.2])
    assert "gallery" in result_figures(result, vae)
    assert "latent_interpolation" in training_figures(pd.DataFrame({"epoch": []}), result, vae)
