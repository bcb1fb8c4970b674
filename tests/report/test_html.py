import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch

from mriad.models import Detector, ReconstructionDetector
from mriad.report.figures import decision_figures
from mriad.report.html import report_html

HISTORY = pd.DataFrame({"epoch": [0, 1], "train/loss": [1.0, 0.5], "val/loss": [0.9, 0.6]})
NO_HISTORY = pd.DataFrame({"epoch": []})
CONFIG = "model:\n  latent_dim: 3\ntitle: <b>&amp;\n"
COMMANDS = [("Train it again", "python train.py model=vae 'data.root=<folder> & more'")]


class NoReconstruction(Detector):
    def anomaly_map(self, x):
        return x


class NoiseReconstruction(ReconstructionDetector):
    def reconstruct(self, x):
        return torch.rand_like(x)


class Page(HTMLParser):
    """Collects pictures, references to other places, and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.pictures, self.references, self.words, self.tags = [], [], [], []
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "img":
            self.pictures.append((attributes.get("alt", ""), attributes["src"]))
        named = ("src", "href", "xlink:href", "srcset", "action", "formaction", "poster", "data", "background")
        self.references += [attributes[name] for name in named if attributes.get(name)]
        self.references += re.findall(r"url\(\s*['\"]?([^'\")]+)", attributes.get("style") or "")
        self._hidden += tag == "style"

    def handle_endtag(self, tag):
        self._hidden -= tag == "style"

    def handle_data(self, data):
        if self._hidden:
            self.references += re.findall(r"(?:url\(|@import)\s*['\"]?([^'\");]+)", data)
        else:
            self.words += data.split()

    @property
    def text(self):
        return " ".join(self.words)

    @property
    def outside(self):
        return [place for place in self.references if not place.startswith(("data:", "#"))]


def split_of(result):
    train = pd.DataFrame(
        {"path": ["a.png", "b.png", "c.png"], "group": ["x", "x", "y"], "label": 0, "class": "healthy"}
    )
    return pd.concat([train.assign(role="train"), result.table[["path", "group", "label", "class", "role"]]])


def written(result, detector, *, audit=None, history=NO_HISTORY, **changed):
    options = {"config_yaml": CONFIG, "commands": COMMANDS, "run_id": "abc123", "run_name": "vae toy", "commit": "f00"}
    told = {"audit": audit, "split": split_of(result), "history": history, "figures": decision_figures(result)}
    return report_html(result, detector, **{**told, **options, **changed})


@pytest.fixture(scope="module")
def page(mixed, vae, audit):
    return written(mixed, vae, audit=audit, history=HISTORY)


@pytest.fixture(scope="module")
def opened(browse, page):
    return browse(page)


def test_the_browser_loads_every_picture(opened, page):
    assert [alt for alt, width in opened.pictures if width == 0] == []
    assert len(opened.pictures) == len(Page(page).pictures)
    # 12 scans of four panels, four figures of the decisions, and the losses
    assert len(opened.pictures) == 12 * 4 + 4 + 1


def test_the_browser_shows_the_numbers(opened, mixed):
    words = " ".join(opened.text.split())
    for name in ("auroc", "average_precision", "balanced_accuracy", "recall", "f1", "pixel_ap", "dice"):
        assert f"{mixed.metrics[name]:.3f}" in words
    assert "finds 4 of 6 anomalous scans" in words
    assert "calls 2 of 6 healthy scans anomalous" in words


def test_the_page_asks_the_network_for_nothing(opened):
    assert opened.outside == set()


def test_the_page_names_no_other_place(page):
    assert Page(page).outside == []


def test_a_request_to_the_network_would_be_seen(browse, page):
    aliens = '<img src="http://a.invalid/"><p style="background: url(http://b.invalid/)"></p>'
    aliens += '<link rel="stylesheet" href="http://c.invalid/"><style>p { background: url(http://d.invalid/) }</style>'
    altered = page.replace("</main>", f"{aliens}</main>")
    assert Page(altered).outside == [f"http://{letter}.invalid/" for letter in "abcd"]
    assert browse(altered).outside >= {"http://a.invalid/", "http://b.invalid/", "http://c.invalid/"}


def test_the_page_is_no_wider_than_its_window(browse, page, opened):
    for shown in (opened, browse(page, width=700), browse(page, width=500)):
        assert shown.width <= shown.room


def test_the_page_forbids_itself_the_network_and_scripts(page):
    policies = [a["content"] for tag, a in Page(page).tags if tag == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert not any(tag == "script" for tag, _ in Page(page).tags)


def test_every_picture_says_what_it_shows(page):
    alts = [alt for alt, _ in Page(page).pictures]
    assert all(alts)
    assert "overlay of 6.png" in alts
    assert "Confusion matrix: 4 true negatives, 2 false positives, 2 false negatives, 4 true positives" in alts


def test_metrics_stand_with_their_intervals(page, mixed):
    text = Page(page).text
    for name, label in (("auroc", "AUROC"), ("recall", "recall (sensitivity)"), ("pixel_ap", "pixel AP")):
        low, high = mixed.intervals[name]
        assert f"{label} {mixed.metrics[name]:.3f} [{low:.3f}, {high:.3f}]" in text


def test_verdict_and_operating_point_come_first(page):
    text = Page(page).text
    places = [
        "finds 4 of 6 anomalous scans",
        "AUROC 0.720 from the aspect ratio",
        "Metrics Scans",
        "what AUROC is to be had without a model",
        "Curves and decisions",
        "Class by class",
        "True positives (4)",
        "Training",
        "Scans and groups by role",
        "Train it again",
        "All options",
    ]
    assert [text.index(place) for place in places] == sorted(text.index(place) for place in places)


def test_the_audit_ranks_the_detector_among_the_features(page, mixed):
    text = Page(page).text
    assert mixed.metrics["auroc"] > 0.72
    order = ["this detector 0.833", "aspect ratio, raw ↑ 0.720 [0.650, 0.790]", "mean, scaled ↓ 0.600 [0.500, 0.700]"]
    assert [text.index(row) for row in order] == sorted(text.index(row) for row in order)


def test_the_audit_s_tables_are_shown(page):
    text = Page(page).text
    for cells in ("test healthy 6 2 (33 %)", "format JPEG 1,234", "odd<knee>.png val 12.346"):
        assert cells in text


def test_a_page_without_an_audit_shows_none(mixed, vae):
    text = Page(written(mixed, vae)).text
    assert "udit" not in text
    assert "trivial" not in text


def test_classes_stand_with_their_own_intervals(page, mixed):
    low, high = mixed.intervals["pituitary_tumour/recall"]
    row = next(part for part in Page(page).text.split("pituitary tumour 2 ")[1:])
    assert row.startswith(f"{mixed.by_class['pituitary tumour']['auroc']:.3f} [")
    assert f"0.500 [{low:.3f}, {high:.3f}]" in row[:80]


def test_lesion_sizes_stand_with_scans_areas_and_intervals(sized, vae, page):
    text = Page(written(sized, vae)).text
    low, high = sized.intervals["recall_small"]
    assert "By lesion size lesions small medium large scans 3 3 3 lesion area, pixels 4 to 4 8 to 8 16 to 16" in text
    assert f"recall of scans 0.333 [{low:.3f}, {high:.3f}]" in text
    low, high = sized.intervals["lesion_share_small"]
    assert f"pixel AP by chance {4 / 256:.3f} [{low:.3f}, {high:.3f}]" in text
    assert "By lesion size" not in Page(page).text


def test_lesions_are_told_with_their_false_alarms(page, mixed, measure, vae):
    text = Page(page).text
    for name, label in (
        ("lesion_sensitivity", "lesions hit, 1 FP/scan"),
        ("lesion_sensitivity_oracle", "lesions hit, oracle"),
        ("lesion_recall", "lesion recall"),
    ):
        low, high = mixed.intervals[name]
        assert f"{label} {mixed.metrics[name]:.3f} [{low:.3f}, {high:.3f}]" in text
    low, high = mixed.intervals["false_components"]
    assert f"False components at the pixel threshold: 0.00 per scan [{low:.2f}, {high:.2f}]" in text
    assert "esion recall" not in Page(written(measure(["healthy", "glioma"], [0.1, 0.9]), vae)).text


def test_the_split_is_told_by_role(page):
    assert "role scans groups healthy glioma pituitary tumour train 3 2 3 0 0 test 12 12 6 4 2" in Page(page).text


def test_what_repeats_the_run_is_told(page):
    text = Page(page).text
    for words in (COMMANDS[0][1], "abc123", "f00", "vae toy", "latent_dim: 3", "title: <b>&amp;"):
        assert words in text


def test_names_that_look_like_html_are_shown_as_they_are(measure, vae, audit):
    evil = "<img src=x onerror=\"alert(1)\"> & 'co'.png"
    result = measure(["healthy", "<i>glioma</i>"], [0.1, 0.9], paths=[evil, "b.png"], data="<u>mine</u>")
    page = Page(written(result, vae, audit=audit, run_name="<s>run</s>"))
    assert {tag for tag, _ in page.tags}.isdisjoint({"i>glioma", "u", "s"})
    assert not any("onerror" in attributes for _, attributes in page.tags)
    for name in (evil, "<i>glioma</i>", "<u>mine</u>", "<s>run</s>"):
        assert name in page.text


def test_a_published_protocol_stands_under_a_banner(measure, vae):
    flawed = written(measure(["healthy", "glioma"], [0.1, 0.9], published=True), vae)
    assert "Published protocol, flawed on purpose." in Page(flawed).text
    assert any("banner" in a.get("class", "") for _, a in Page(flawed).tags)
    honest = written(measure(["healthy", "glioma"], [0.1, 0.9]), vae)
    assert "flawed" not in Page(honest).text


@pytest.mark.parametrize("name", ["healthy", "glioma"])
def test_a_test_with_one_label_is_told_as_far_as_it_goes(measure, vae, audit, name):
    text = Page(written(measure([name] * 3, [0.2, 0.4, 0.6]), vae, audit=audit)).text
    assert "nan" not in text.lower()
    assert "this detector" not in text
    assert ("finds 1 of 3 anomalous scans" in text) == (name == "glioma")
    assert ("calls 1 of 3 healthy scans anomalous" in text) == (name == "healthy")


@pytest.mark.parametrize("history", [NO_HISTORY, pd.DataFrame({"epoch": [0], "val/auroc": [0.8]})])
def test_losses_are_drawn_where_there_are_some(mixed, vae, page, history):
    losses = "Training and validation loss by epoch"
    assert losses in [alt for alt, _ in Page(page).pictures]
    assert losses not in [alt for alt, _ in Page(written(mixed, vae, history=history)).pictures]


def test_a_detector_without_reconstruction_has_no_such_column(mixed, vae):
    detector = NoReconstruction(score=vae.score)
    alts = [alt for alt, _ in Page(written(mixed, detector)).pictures]
    assert not any("reconstruction" in alt for alt in alts)
    assert sum(alt.startswith("overlay of ") for alt in alts) == 12


def test_a_big_test_of_noise_stays_below_five_megabytes(mixed, vae, audit):
    """Noise is the picture that compresses worst."""
    rng = np.random.default_rng(0)
    table = pd.concat([mixed.table] * 125, ignore_index=True).assign(score=rng.random(1500))
    noise = np.broadcast_to(rng.random((256, 256), dtype=np.float32), (1500, 256, 256))
    result = replace(mixed, table=table, images=noise, maps=noise, masks=[None] * 1500)
    detector = NoiseReconstruction(score=vae.score)
    page = written(result, detector, audit=audit, history=HISTORY)
    assert page.count("<img") == 24 * 4 + 5
    assert len(page.encode()) < 5e6
