"""Whether an hour of reading makes the next detector better: ``python -m benchmarks.reading FOLDER_OF_BR35H``.

A detector that has seen no label predicts scans of the labelled pool and as many healthy ones of train. A simulated
reader, who knows the outlines, marks the first of them on the page: those of which the detector was the least sure, or
random ones. ``mriad labels`` makes a manifest of the marks, and a second detector trains on the same healthy scans and
on these labels. Both are tested on the same scans, which neither reader nor detector has seen. The reader marks a
lesion as true where half of it lies in outlines, and as missed what no lesion of the detector touches.

All of it once for each seed of the networks: ``docs/results/reading.csv`` gets their means and standard deviations. As
it stands it takes half an hour of one thread, with small pictures and few epochs; ``-- trainer.max_epochs=50
data.image_size=128`` trains as a user would, for hours. What is done already in ``--folder`` is not done again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from benchmarks.results.history import ROOT
from benchmarks.results.table import FOLDER, Definition, Line, write_lines
from benchmarks.results.whence import today
from mriad.data.layouts import br35h
from mriad.data.reading.masks import read_mask
from mriad.metrics.components import connected
from mriad.review.folder import read_list, read_scan_of
from mriad.review.labels import mask_of, uncertainty
from mriad.review.marks import Mark, add_mark, now

MODEL = "model=synthetic_anomaly"
SMALL = ("data.image_size=64", "trainer.max_epochs=30", "trainer=cpu", "threads=1", "logger.log_model=false")
ORDERS = ("uncertain", "random", "score")
TABLED = ("none", "uncertain", "random")  # as docs/results/reading.yaml has its rows
METRICS = ("auroc", "pixel_ap", "dice", "pointing", "lesion_sensitivity")
COUNTS = ("read", "labels")
TRUE = 0.5  # share of a lesion in outlines


def simulate(page: Path, truth: dict[str, str], root: Path, *, order: str, count: int, seed: int, file: Path) -> int:
    """Mark the first scans of a page, as a reader would who knows the outlines.

    Args:
        page: its folder.
        truth: masks by the paths of the anomalous scans, '' where there is none.
        root: folder that masks start from.
        order: 'uncertain', 'random' or 'score'.
        count: of scans that are read.
        seed: of the random order.
        file: of the marks.

    Returns:
        Number of marks.
    """
    told = read_list(page)
    scans = told["scans"]
    unsure = uncertainty([scan["score"] for scan in scans], told["threshold"])
    random = np.random.default_rng(seed).random(len(scans))
    keys = {"uncertain": np.array(unsure), "random": random, "score": -np.array([scan["score"] or 0 for scan in scans])}
    made = 0
    for number in np.argsort(keys[order], kind="stable")[:count].tolist():
        scan, shown = scans[number], read_scan_of(page, number)
        known: dict[str, Any] = {name: scan[name] for name in ("path", "score", "decision")}
        known |= {"reader": "simulated", "lesions": scan["listed"]}
        mask = _outlined(root, truth.get(scan["path"], ""), mask_of(shown, [])[0].shape[1:])
        seen = np.zeros_like(mask)
        said: list[dict[str, Any]] = []
        for which, lesion in enumerate(shown["lesions"], start=1):
            component = mask_of(shown, [which])[0][0]
            seen |= component
            is_true = mask[component].mean() >= TRUE
            said.append(
                {"lesion": which, "mark": "true" if is_true else "false", **dict(zip("xyz", lesion["at"], strict=True))}
            )
        lesions = connected(mask)
        missed = [which for which in range(1, int(lesions.max()) + 1) if not seen[lesions == which].any()]
        said += [{"mark": "missed", "x": float(which), "y": 0.0, "z": 0.0} for which in missed]
        anomalous = scan["path"] in truth
        mark = "agree" if scan["decision"] == anomalous else "miss" if anomalous else "false"
        for event in (*said, {"mark": mark}):
            add_mark(file, Mark.of(known | event | {"time": now()}))
            made += 1
    return made


def _outlined(root: Path, mask: str, shape: tuple[int, ...]) -> np.ndarray:
    return read_mask(root, mask, size=(shape[0], shape[1])) if mask else np.zeros(shape, dtype=bool)


def main(words: argparse.Namespace) -> Path:
    """Train, read and train again with each seed, and write the table."""
    whence = today()
    definition = Definition.read("reading")
    found = pd.concat([_of_seed(words, seed) for seed in words.seeds], ignore_index=True)
    print(found.to_string())
    lines = []
    for label, order in zip(definition.rows, TABLED, strict=True):
        rows = found[found["order"] == order]
        if rows.empty:
            continue
        values = {name: f"{rows[name].mean():.{0 if name in COUNTS else 3}f}" for name in definition.metrics}
        if len(rows) > 1:
            values |= {f"{name}_sd": f"{rows[name].std():.3f}" for name in METRICS if name in definition.metrics}
        lines.append(Line(row=label, values=values, seeds=str(len(rows)), command=_told(words), **whence))
    return write_lines("reading", definition.metrics, lines, words.output)


def _of_seed(words: argparse.Namespace, seed: int) -> pd.DataFrame:
    """Train, read and train again, and give a row for each detector."""
    folder, root = words.folder.absolute() / f"seed{seed}", words.root.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    catalog = br35h(root=root)
    known = catalog.table.assign(file=[str(file) for file in catalog.files()]).set_index("path")
    first = _train(folder / "none", f"data=br35h data.root={root}".split(), words, seed)
    roles = pd.read_csv(mlflow.artifacts.download_artifacts(run_id=first["run"], artifact_path="split.csv"))
    roles = roles[roles["path"].isin(known.index)]
    scans = known.loc[roles["path"]].assign(role=roles["role"].to_numpy())
    pool, healthy = scans[scans["role"] == "labelled"], scans[scans["role"] == "train"]
    healthy = healthy.sample(min(len(pool), len(healthy)), random_state=0)
    pd.concat([pool, healthy])[["file"]].rename(columns={"file": "path"}).to_csv(folder / "unread.csv", index=False)
    read = f"input={folder}/unread.csv output={folder}/read review=true device=cpu"
    _run("predict.py", f"checkpoint={folder}/none/best.ckpt", *read.split())
    others = scans[scans["role"] != "labelled"]
    masks = [_absolute(root, mask) for mask in others["mask"]]
    listed = pd.DataFrame({"path": others["file"], "label": others["label"], "mask": masks})
    listed.to_csv(folder / "others.csv", index=False)
    scans[["file", "role"]].rename(columns={"file": "path"}).to_csv(folder / "roles.csv", index=False)
    truth = dict(zip(pool["file"], pool["mask"], strict=True))
    rows = [first | {"order": "none", "read": 0, "labels": 0}]
    for order in words.orders:
        marks = folder / order / "marks.csv"
        marks.parent.mkdir(exist_ok=True)
        marks.unlink(missing_ok=True)
        simulate(folder / "read" / "review", truth, root, order=order, count=words.count, seed=seed, file=marks)
        labels = folder / order / "labels"
        made = f"--page={folder}/read --output={labels} --with={folder}/others.csv"
        _run("-m", "mriad", "labels", str(marks), *made.split())
        masked = int((pd.read_csv(labels / "manifest.csv", keep_default_na=False)["pool"] == "labelled").sum())
        options = (
            f"data=folder data.layout.manifest={labels}/manifest.csv split=from_csv data.split.file={folder}/roles.csv"
        )
        found = _train(folder / order / "run", [*options.split(), f"data.labelled_train={masked}"], words, seed)
        rows.append(found | {"order": order, "read": words.count, "labels": masked})
    return pd.DataFrame(rows).assign(seed=seed)


def _train(output: Path, options: Sequence[str], words: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The test metrics of a training, which is run unless its run is there and whole."""
    found = _finished(output)
    if found is None:
        _run("train.py", MODEL, f"seed={seed}", f"hydra.run.dir={output}", *options, *words.options)
        found = _finished(output)
        assert found is not None
    return {"run": found["run_id"]} | {name: found.get(f"metrics.test/{name}") for name in METRICS}


def _finished(output: Path) -> Any:
    if not (output / "best.ckpt").exists():
        return None
    asked = f"tags.output_dir = '{output}' and attributes.status = 'FINISHED'"
    runs = mlflow.search_runs(search_all_experiments=True, filter_string=asked)
    return None if runs.empty else runs.iloc[0]


def _told(words: argparse.Namespace) -> str:
    """The command, and what it trains."""
    seeds = " ".join(map(str, words.seeds))
    command = f"python -m benchmarks.reading DATA/br35h --count {words.count} --seeds {seeds}"
    return f"{command}, which is of: python train.py data=br35h {MODEL} {' '.join(words.options)}"


def _absolute(root: Path, mask: str) -> str:
    return str(root / mask) if mask else ""


def _run(*words: str) -> None:
    place = [str(ROOT / words[0])] if words[0].endswith(".py") else [words[0]]
    subprocess.run([sys.executable, *place, *words[1:]], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading",
        usage="%(prog)s FOLDER_OF_BR35H [--count N] ... [-- OPTIONS OF THE TRAININGS]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("root", type=Path, help="folder of br35h")
    parser.add_argument("--folder", type=Path, default=Path("outputs/reading"), help="of all that is made on the way")
    parser.add_argument("--count", type=int, default=60, help="of scans that are read")
    parser.add_argument("--orders", nargs="+", default=["uncertain", "random"], choices=ORDERS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the networks and of random orders")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of reading.csv (default: docs/results)")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    typed = parser.parse_args(sys.argv[1:end], argparse.Namespace(options=[*SMALL, *sys.argv[end + 1 :]]))
    typed.folder.mkdir(parents=True, exist_ok=True)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{typed.folder.absolute()}/mlflow.db"
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    print(f"Written to {main(typed)}.")
