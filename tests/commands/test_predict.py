from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from .brains import brain, lesion, save
from .command_line import Terminal, TrainedRun


def predictions(terminal: Terminal, run: TrainedRun, wanted: str, output: Path, *options: str) -> pd.DataFrame:
    terminal.predict(f"run={run.id}", f"input={wanted}", f"output={output}", *options).ok()
    return pd.read_csv(output / "predictions.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans with odd names in sub-folders, two of one name, of several sizes, and a broken one."""
    root = tmp_path_factory.mktemp("odd") / "patients"
    for number, name in enumerate(["a b.png", "t=2, axial [1].png", "p1/scan.png", "p2/deep/scan.png", "ä (ü)'s.png"]):
        save(root / name, lesion(number, size=48 + 8 * number)[0])
    save(root / "wide.jpg", np.pad(brain(7), ((0, 0), (20, 9))))
    (root / "broken.png").write_bytes((root / "a b.png").read_bytes()[:300])
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture(scope="module")
def mapped(bench: Terminal, ae: TrainedRun, odd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a prediction of ``odd`` with maps."""
    output = tmp_path_factory.mktemp("predictions") / "out"
    predictions(bench, ae, str(odd), output, "maps=true")
    return output


def test_scores_are_those_of_the_test(bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path) -> None:
    table = predictions(bench, ae, f"[{scans}/healthy,{scans}/tumour]", tmp_path)
    assert len(table) == 60
    found = table.assign(path=[str(Path(path).relative_to(scans)) for path in table["path"]]).set_index("path")
    test = ae.scores.set_index("path")
    same = found.loc[test.index]
    assert np.allclose(same["score"].astype(float), test["score"], atol=1e-6, rtol=0)
    assert list(same["decision"].astype(int)) == list(test["decision"])
    assert set(table["threshold"]) == {ae.metrics["threshold"]}


def test_vae_scores_are_those_of_the_test(bench: Terminal, vae: TrainedRun, scans: Path, tmp_path: Path) -> None:
    table = predictions(bench, vae, f"{scans}/tumour", tmp_path).set_index("path")["score"]
    test = vae.scores[vae.scores["label"] == 1]
    assert np.allclose([table[str(scans / path)] for path in test["path"]], test["score"], atol=1e-6, rtol=0)


def test_a_folder_is_read_with_its_sub_folders_in_order(mapped: Path, odd: Path) -> None:
    table = pd.read_csv(mapped / "predictions.csv", keep_default_na=False)
    assert list(table.columns) == ["path", "score", "threshold", "decision", "error"]
    images = [file for file in odd.rglob("*") if file.suffix in (".png", ".jpg")]
    assert list(table["path"]) == [str(file) for file in sorted(images)]


def test_a_broken_image_is_a_row_with_its_error(mapped: Path, odd: Path) -> None:
    table = pd.read_csv(mapped / "predictions.csv").set_index("path")
    assert list(table.index[table["error"].notna()]) == [str(odd / "broken.png")]
    row = table.loc[str(odd / "broken.png")]
    assert "cannot be read" in row["error"] and np.isnan(row["score"]) and np.isnan(row["decision"])
    assert table.drop(str(odd / "broken.png"))["decision"].isin([0, 1]).all()


def test_broken_images_are_counted_and_listed(bench: Terminal, ae: TrainedRun, odd: Path, tmp_path: Path) -> None:
    shown = bench.predict(f"run={ae.id}", f"input={odd}", f"output={tmp_path}").ok()
    assert "1 of 7 scans could not be read" in shown.out
    assert str(odd / "broken.png") in shown.out
    assert "6 scans scored" in shown.out


def test_maps_are_float32_tiffs_and_overlays_pngs_at_the_size_of_the_scan(mapped: Path, odd: Path) -> None:
    files = {str(file.relative_to(mapped / "maps")) for file in (mapped / "maps").rglob("*") if file.is_file()}
    readable = [file for file in odd.rglob("*") if file.suffix in (".png", ".jpg") and file.name != "broken.png"]
    names = [str(file.relative_to(odd)) for file in readable]
    assert files == {f"{name}.{ending}" for name in names for ending in ("map.tiff", "overlay.png")}
    for file, name in zip(readable, names, strict=True):
        scan, anomaly_map, overlay = (
            Image.open(path)
            for path in (file, mapped / "maps" / f"{name}.map.tiff", mapped / "maps" / f"{name}.overlay.png")
        )
        values = np.asarray(anomaly_map)
        assert anomaly_map.format == "TIFF" and values.dtype == np.float32
        assert overlay.format == "PNG" and overlay.mode == "RGB"
        assert scan.size == anomaly_map.size == overlay.size
        assert np.isfinite(values).all() and values.max() > 0


def test_scans_of_one_name_keep_maps_of_their_own(mapped: Path) -> None:
    first, second = (Image.open(mapped / "maps" / name / "scan.png.map.tiff").size for name in ("p1", "p2/deep"))
    assert first == (64, 64) and second == (72, 72)


def test_scans_of_one_name_in_one_list_keep_maps_of_their_own(
    bench: Terminal, ae: TrainedRun, odd: Path, tmp_path: Path
) -> None:
    predictions(bench, ae, f"[{odd}/p1/scan.png,{odd}/p2/deep/scan.png]", tmp_path, "maps=true")
    assert len(list((tmp_path / "maps").rglob("*.map.tiff"))) == 2


def test_the_map_is_highest_on_the_lesion(bench: Terminal, small: tuple[str, ...], scans: Path, tmp_path: Path) -> None:
    bench.train(*small, "score=l1").ok()
    predictions(bench, bench.newest("training"), f"{scans}/tumour", tmp_path, "maps=true")
    hits = []
    for file in sorted((scans / "tumour").iterdir()):
        anomaly_map = np.asarray(Image.open(tmp_path / "maps" / f"{file.name}.map.tiff"))
        mask = np.asarray(Image.open(scans / "masks" / "tumour" / file.name)) > 0
        hits.append(mask[np.unravel_index(anomaly_map.argmax(), anomaly_map.shape)])
    assert np.mean(hits) >= 0.9


def test_without_maps_there_is_a_table_only(bench: Terminal, ae: TrainedRun, odd: Path, tmp_path: Path) -> None:
    predictions(bench, ae, str(odd), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ('"{odd}/t=2, axial [1].png"', ["t=2, axial [1].png"]),
        ("{odd}/p1/scan.png", ["p1/scan.png"]),
        ('"{odd}/*.png"', ["a b.png", "broken.png", "t=2, axial [1].png", "ä (ü)'s.png"]),
        ('"{odd}/**/scan.png"', ["p1/scan.png", "p2/deep/scan.png"]),
        ('["{odd}/wide.jpg","{odd}/a b.png","{odd}/p?/scan.png"]', ["wide.jpg", "a b.png", "p1/scan.png"]),
        ('["{odd}/p1","{odd}/p1/scan.png"]', ["p1/scan.png"]),
    ],
    ids=["odd name", "file", "glob", "deep glob", "list in its own order", "a scan named twice"],
)
def test_input_may_be(
    bench: Terminal, ae: TrainedRun, odd: Path, tmp_path: Path, wanted: str, names: list[str]
) -> None:
    table = predictions(bench, ae, wanted.format(odd=odd), tmp_path)
    assert list(table["path"]) == [str(odd / name) for name in names]


def test_a_relative_input_and_output_are_taken_from_the_working_directory(bench: Terminal, ae: TrainedRun) -> None:
    save(bench.folder / "inbox" / "one.png", brain(3))
    table = predictions(bench, ae, "inbox", bench.folder / "outbox")
    bench.predict(f"run={ae.id}", "input=inbox", "output=outbox2").ok()
    relative = pd.read_csv(bench.folder / "outbox2" / "predictions.csv")
    assert list(relative["path"]) == ["inbox/one.png"]
    assert list(relative["score"]) == list(table["score"])


def test_a_checkpoint_is_enough_and_no_store_is_made(bare: Terminal, ae: TrainedRun, scans: Path) -> None:
    bare.predict(f"checkpoint={ae.checkpoint}", f"input={scans}/healthy", "output=here").ok()
    assert len(pd.read_csv(bare.folder / "here" / "predictions.csv")) == 40
    assert not (bare.folder / "mlflow.db").exists()


def test_batch_size_does_not_change_scores(bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path) -> None:
    one, many = (
        predictions(bench, ae, f"{scans}/healthy", tmp_path / size, f"batch_size={size}") for size in ("1", "64")
    )
    assert list(one["path"]) == list(many["path"])
    assert np.allclose(one["score"], many["score"], atol=1e-6, rtol=0)


def _shades(kind: str, gray: NDArray[np.uint8]) -> Image.Image:
    opaque = np.full_like(gray, 255)
    return {
        "16-bit": Image.fromarray(gray.astype(np.uint16) * 257),
        "RGB": Image.fromarray(np.stack([gray] * 3, axis=2)),
        "RGBA": Image.fromarray(np.stack([gray, gray, gray, opaque], axis=2)),
        "palette": Image.fromarray(np.stack([gray] * 3, axis=2)).quantize(256, dither=Image.Dither.NONE),
        "gray palette": Image.fromarray(gray).convert("P"),
        "gray and alpha": Image.fromarray(np.stack([gray, opaque], axis=2)),
        "TIFF": Image.fromarray(gray),
    }[kind]


@pytest.mark.parametrize("kind", ["16-bit", "RGB", "RGBA", "palette", "gray palette", "gray and alpha", "TIFF"])
def test_any_image_mode_scores_as_its_gray_scan(bench: Terminal, ae: TrainedRun, tmp_path: Path, kind: str) -> None:
    gray = lesion(3)[0] // 4 * 4  # no more shades than a palette holds
    Image.fromarray(gray).save(tmp_path / "gray.png")
    _shades(kind, gray).save(tmp_path / ("other.tiff" if kind == "TIFF" else "other.png"))
    table = predictions(bench, ae, str(tmp_path), tmp_path / "out")
    assert set(table["error"]) == {""}
    assert table["score"][1] == pytest.approx(table["score"][0], abs=1e-6)


def test_spacings_of_a_manifest_count_in_training_and_prediction(terminal: Terminal, tmp_path: Path) -> None:
    """One blob of 0.9 above tissue of at most 0.5: large enough in mm2, too small in pixels."""
    rows = ["path,label,spacing"]
    for number in range(24):
        scan = np.random.default_rng(number).integers(60, 128, (32, 32), dtype=np.uint8)
        scan[8 + number % 5, number] = 90  # no two files alike
        if number >= 14:
            scan[20:23, 20:23] = 230
        save(tmp_path / "scans" / f"{number:02}.png", scan)
        rows.append(f"{number:02}.png,{int(number >= 14)},2")
    (tmp_path / "scans" / "scans.csv").write_text("\n".join(rows))
    step = "{_target_:mriad.scoring.postprocess.SmallestComponent,area:20,threshold:0.6}"
    data = (f"data.root={tmp_path}/scans", "data.layout.manifest=scans.csv", "data.split.group=none")
    raw = ("data.preprocess.crop=none", "data.preprocess.low=null", "data.preprocess.high=null", "data.image_size=32")
    score = ("model=intensity", "score.pooling=max", "score.mask=none", f"score.postprocess=[{step}]")
    terminal.train("data=folder", *data, *raw, *score).ok()
    run = terminal.newest("training")
    table = predictions(terminal, run, f"{tmp_path}/scans/scans.csv", tmp_path / "out").set_index("path")
    test = run.scores.set_index("path")
    found = table.loc[[f"{tmp_path}/scans/{path}" for path in test.index]]
    assert np.allclose(found["score"].astype(float), test["score"], atol=1e-6, rtol=0)
    assert np.allclose(test["score"][test["label"] == 1], 230 / 255, atol=1e-6)
    blind = predictions(terminal, run, f"{tmp_path}/scans", tmp_path / "blind")
    assert blind["score"].astype(float).max() < 0.61


def test_output_may_lie_anywhere(bench: Terminal, ae: TrainedRun, tmp_path: Path) -> None:
    """Above the scans, twice: no scan is dropped, no map is taken for one, and nothing lies outside."""
    save(tmp_path / "top" / "scans" / "p1" / "one.png", brain(3))
    save(tmp_path / "top" / "=two.png", brain(4))
    wanted = f"[{tmp_path}/top/scans/../,{tmp_path}/top/scans/p1/../p1/one.png]"
    for _ in range(2):
        table = predictions(bench, ae, wanted, tmp_path / "top", "maps=true")
        assert [Path(path).name for path in table["path"]] == ["=two.png", "one.png"]
    here = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    maps = {
        f"top/maps/{name}.{kind}" for name in ("=two.png", "scans/p1/one.png") for kind in ("map.tiff", "overlay.png")
    }
    assert here == {"top/scans/p1/one.png", "top/=two.png", "top/predictions.csv", *maps}


def test_masks_that_are_not_called_so_are_told(bench: Terminal, ae: TrainedRun, tmp_path: Path) -> None:
    save(tmp_path / "in" / "lesion.png", lesion(3)[1].astype(np.uint8) * 255)
    save(tmp_path / "in" / "scan.png", brain(3))
    shown = bench.predict(f"run={ae.id}", f"input={tmp_path}/in", f"output={tmp_path}/out").ok()
    assert "1 of 2 scans hold two levels only, as lesion masks do" in shown.out
    assert f"{tmp_path}/in/lesion.png" in shown.out
