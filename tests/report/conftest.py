import json
import re
import shutil
import subprocess
from functools import partial
from html import unescape
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from mriad.models import CompactVAE
from mriad.models.networks import VAENetwork
from mriad.report import Result
from mriad.scoring import Score
from mriad.thresholds import Calibration

SIZE = 16
PROBE = """<script>
addEventListener("load", () => {
  const facts = {
    pictures: [...document.images].map(picture => [picture.alt, picture.naturalWidth]),
    text: document.body.innerText,
    width: document.documentElement.scrollWidth,
    room: document.documentElement.clientWidth,
  };
  const told = document.createElement("pre");
  told.id = "facts";
  told.textContent = JSON.stringify(facts);
  document.body.replaceChildren(told);
});
</script>"""


@pytest.fixture(scope="session")
def measure():
    """Measure a test of scans that are given by their class and score; the threshold is 0.5."""

    def build(classes, scores, *, masked=(), lost=(), published=False, rule="youden", data="toy", **more):
        """Build it.

        ``masked``: classes that have lesion masks; ``lost``: rows whose lesion the crop has cut away; ``empty``: rows
        whose mask holds nothing; ``doubtful``: rows whose mask is not used; ``merged``: lesions by row that touch
        another; ``level``: the one for lesions; ``paths`` of the scans, ``size`` of a slice, ``heights`` of the lesions
        by row and ``promised`` false positive rate, where they matter.
        """
        rng = np.random.default_rng(0)
        count, size = len(classes), more.get("size", SIZE)
        has_mask = np.array([name in masked for name in classes])
        lesions = np.zeros((count, size, size), dtype=bool)
        lesions[has_mask, 4:8, 4:8] = True
        for row, height in more.get("heights", {}).items():
            lesions[row, 4 + height :] = False
        nothing = list(more.get("empty", ()))
        lesions[[*lost, *nothing]] = False
        maps = (0.1 * rng.random((count, size, size)) + 0.8 * lesions).astype(np.float32)
        labels = np.array([int(name != "healthy") for name in classes])
        table = pd.DataFrame(
            {
                "path": more.get("paths", [f"{i}.png" for i in range(count)]),
                "group": [f"p{i}" for i in range(count)],
                "class": classes,
                "label": labels,
                "role": "test",
                "score": np.array(scores, dtype=float),
            }
        )
        used = has_mask & ~np.isin(np.arange(count), more.get("doubtful", ()))
        merged = [more.get("merged", {}).get(row, 0) for row in range(count)]
        outside = np.isin(np.arange(count), lost).astype(int)
        found = lesions.any(axis=(1, 2)) + outside + np.array(merged)
        facts = pd.DataFrame({"lesions": found, "lesions_outside": outside, "lesions_merged": merged})
        images = torch.from_numpy(rng.random((count, 1, size, size)).astype(np.float32))
        datamodule = SimpleNamespace(
            name=data,
            split=SimpleNamespace(published=published),
            table=table.assign(mask=np.where(has_mask, "mask.png", "")),
            cache=SimpleNamespace(facts=facts, has_mask=lambda rows: used[rows], masks_of=lambda rows: lesions[rows]),
            images=lambda rows: images[rows],
        )
        val_scores = pd.DataFrame({"group": [*"abcde"], "label": [0, 0, 0, 0, 1], "score": [0.1, 0.2, 0.3, 0.6, 0.9]})
        calibration = Calibration(
            rule=rule,
            threshold=0.5,
            pixel_threshold=0.2,
            val_scores=val_scores,
            promised_fpr=more.get("promised"),
            lesion_level=more.get("level", 0.3),
        )
        return Result.measure(
            table=table, rows=np.arange(count), maps=maps, datamodule=datamodule, calibration=calibration
        )

    return build


@pytest.fixture(scope="session")
def mixed(measure):
    """Each outcome, two classes of anomalies, one of them with masks."""
    classes = ["healthy"] * 6 + ["glioma"] * 4 + ["pituitary tumour"] * 2
    scores = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.9, 0.8, 0.45, 0.65, 0.35, 0.95]
    return measure(classes, scores, masked=["glioma"])


@pytest.fixture(scope="session")
def sized(measure):
    """Lesions of 4, 8 and 16 pixels, three of each; of the small ones one is found, of the large ones all are."""
    classes = ["healthy"] * 4 + ["glioma"] * 9
    scores = [0.1, 0.2, 0.3, 0.6] + [0.9, 0.2, 0.3] + [0.9, 0.9, 0.2] + [0.9] * 3
    heights = dict(zip(range(4, 10), [1] * 3 + [2] * 3, strict=True))
    return measure(classes, scores, masked=["glioma"], heights=heights)


@pytest.fixture(scope="session")
def vae():
    torch.manual_seed(0)
    network = VAENetwork(image_size=SIZE, latent_dim=3, widths=(4, 8))
    optimizer = partial(torch.optim.SGD, lr=0.1)
    return CompactVAE(network=network, beta=0.1, score=Score(), optimizer=optimizer).eval()


@pytest.fixture(scope="session")
def audit():
    """What an audit found; the aspect ratio before scaling separates best, with an AUROC of 0.72."""
    return SimpleNamespace(
        verdict="Without any model: AUROC 0.720 from the aspect ratio of the original images.",
        features=pd.DataFrame(
            [["mean", "scaled", 0.6, "-", 0.5, 0.7], ["aspect_ratio", "raw", 0.72, "+", 0.65, 0.79]],
            columns=["feature", "stage", "auroc", "sign", "low", "high"],
        ),
        duplicates=pd.DataFrame(
            [["test", "healthy", "train", 6, 2, 1 / 3], ["train", "healthy", "test", 3000, 0, 0.0]],
            columns=["role", "label", "within", "scans", "duplicated", "share"],
        ),
        mix=pd.DataFrame({"property": ["format"], "value": ["JPEG"], "test healthy": [1234]}),
        outliers=pd.DataFrame({"path": ["odd<knee>.png"], "role": ["val"], "z": [12.3456]}),
    )


@pytest.fixture(scope="session")
def browse(tmp_path_factory):
    """Open a page in headless Chromium: what it shows, and what it asks the network for.

    The page's own content security policy is taken off before, so that it cannot hide a request by blocking it.
    """
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    chromium = next((found for name in names if (found := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("no Chromium on PATH to open the page in")

    def open_page(page, *, width=1200):
        work = tmp_path_factory.mktemp("browser")
        page = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page)
        (work / "page.html").write_text(page.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        options += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={work / 'profile'}"]
        options += [f"--log-net-log={work / 'net.json'}", f"--window-size={width},900", "--virtual-time-budget=10000"]
        command = [chromium, *options, "--dump-dom", (work / "page.html").as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
        told = re.search(r'<pre id="facts">(.*?)</pre>', done.stdout, flags=re.DOTALL)
        assert told, f"Chromium did not run the page: {done.stderr[-2000:]}"
        events = json.loads((work / "net.json").read_text(encoding="utf-8"))["events"]
        started = [event["params"] for event in events if "url" in event.get("params", {})]
        # what the browser asks for by itself is started by no page
        requests = {p["url"] for p in started if p.get("initiator", "not an origin") != "not an origin"}
        outside = {url for url in requests if not url.startswith(("data:", "file:", "blob:"))}
        return SimpleNamespace(**json.loads(unescape(told[1])), outside=outside)

    return open_page


@pytest.fixture(scope="session")
def measure_volumes():
    """Measure volumes of 6 x 8 x 8 voxels of 2 mm with a cube of 8, 12 ... voxels as lesion; the threshold is 0.5."""

    def build(labels, scores, *, patients=None, unmasked=(), slice_scores=True, published=False):
        rng = np.random.default_rng(0)
        count = len(labels)
        anomalous = np.array(labels) == 1
        has_mask = anomalous & ~np.isin(np.arange(count), unmasked)
        lesions = np.zeros((count, 6, 8, 8), dtype=np.uint8)
        for row in np.flatnonzero(has_mask):
            lesions[row, 2:4, 3:5, 3 : 5 + row % 3] = 1
        maps = (0.1 * rng.random(lesions.shape) + 0.8 * lesions).astype(np.float32)
        table = pd.DataFrame(
            {
                "path": [f"{row}.nii.gz" for row in range(count)],
                "group": patients or [f"p{row}" for row in range(count)],
                "class": np.where(anomalous, "glioma", "healthy"),
                "label": labels,
                "role": "test",
                "score": np.array(scores, dtype=float),
            }
        )
        facts = pd.DataFrame({"lesions": has_mask * 1, "lesions_outside": 0, "lesions_merged": 0}, index=range(count))
        read = []

        def masks_of(rows):
            read.append(len(rows))
            return lesions[rows].astype(bool)

        images = torch.from_numpy(rng.random((count, 1, *lesions.shape[1:])).astype(np.float32))
        datamodule = SimpleNamespace(
            name="toy",
            split=SimpleNamespace(published=published),
            table=table.assign(mask=np.where(has_mask, "mask.nii.gz", ""), patient=table["group"]),
            cache=SimpleNamespace(facts=facts, has_mask=lambda rows: has_mask[rows], masks_of=masks_of),
            images=lambda rows: images[rows],
        )
        val_scores = pd.DataFrame({"group": [*"abc"], "label": [0, 0, 1], "score": [0.1, 0.2, 0.9]})
        calibration = Calibration(
            rule="youden", threshold=0.5, pixel_threshold=0.2, val_scores=val_scores, lesion_level=0.3
        )
        slices = lesions.any(axis=(2, 3)) + 0.5 * rng.random((count, 6))
        slices[:, 0] = np.nan
        result = Result.measure(
            table=table,
            rows=np.arange(count),
            maps=maps,
            datamodule=datamodule,
            calibration=calibration,
            slice_scores=slices if slice_scores else None,
            voxel_volume=np.full(count, 8.0),
        )
        return result, SimpleNamespace(lesions=lesions, read=read, images=images)

    return build
