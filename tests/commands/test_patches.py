"""Detectors of three dimensions that see cubes of a volume."""

import pandas as pd
import pytest

from .command_line import Terminal, TrainedRun

HEADS = (
    *("data=synthetic_volumes", "data.layout.healthy_subjects=10", "data.layout.diseased_subjects=6"),
    *("data.layout.spacing=4", "data.spacing=4", "data.image_size=64", "data.preprocess.depth=64"),
)


@pytest.mark.slow
def test_a_detector_of_cubes_is_trained_tested_again_and_gone_on_with(bench: Terminal) -> None:
    pytest.importorskip("torchio")
    cubes = (*HEADS, "model=vae_3d", "data.patches.size=32", "data.batch_size=8")
    bench.train(*cubes, "trainer.max_epochs=1").ok()
    run = bench.newest("training")
    assert run.status == "FINISHED"
    assert {"train/loss", "val/loss", "val/auroc", "test/auroc", "test/pixel_ap"} <= set(run.metrics)
    assert {"plots/gallery.png", "plots/latent_interpolation.png", "plots/prior_samples.png"} <= run.files()
    bench.evaluate(f"run={run.id}").ok()
    again = bench.newest("evaluation")
    assert again.test_metrics == run.test_metrics

    bench.train(*cubes, "trainer.max_epochs=2").ok()
    whole = bench.newest("training")
    bench.train(f"resume={run.id}", "trainer.max_epochs=2").ok()
    pd.testing.assert_frame_equal(TrainedRun(bench, run.id).scores, whole.scores, check_exact=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("model=ae",), ("data.patches.size=32 cuts volumes into cubes", "model=ae cannot take", "choose model=ae_3d")),
        (("model=ae_3d", "data.patches.size=24"), ("data.patches.size=24", "multiple of 16, such as 32")),
        (("model=ae_3d", "data.patches.size=80"), ("data.patches.size=80 do not fit", "64 x 64 x 64 voxels")),
        (("model=ae_3d", "data.patches.size=abc"), ("data.patches.size=abc is no side of a cube",)),
    ],
)
def test_cubes_that_a_model_cannot_take_are_told_before_any_scan_is_read(
    bench: Terminal, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    heads = [option for option in HEADS if ".layout." not in option]
    bench.train(*heads, "data.root=nowhere", "data.patches.size=32", *options).sentence(*words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("model=ae", "data.patches.size=32"), ("no option 'data.patches' here", "belongs to data=atlas")),
        (("model=ae", "+data.patches.size=32"), ("data.patches.size=32 cuts volumes into cubes", "model=ae cannot")),
        (("model=ae_3d", "+data.patches.size=32"), ("cannot take pictures", "choose data of volumes")),
    ],
)
def test_cubes_of_pictures_are_refused(bench: Terminal, options: tuple[str, ...], words: tuple[str, ...]) -> None:
    bench.train("data=synthetic", *options).sentence(*words)
