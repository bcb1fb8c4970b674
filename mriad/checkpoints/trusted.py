"""What a checkpoint may name: a checkpoint may be anybody's, and must not choose what runs here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mriad.errors import MriadError

# What mriad's option files name, by the part of the config in which they name it; nothing else is called. Exact names
# and no prefixes: a library as big as Lightning also has a function that unpickles any file.
_SCORE = frozenset(
    {
        "mriad.scoring.Score",
        "mriad.scoring.postprocess.Gaussian",
        "mriad.scoring.postprocess.Median",
        "mriad.scoring.postprocess.Opening",
        "mriad.scoring.postprocess.SmallestComponent",
    }
)
_THRESHOLD = frozenset(
    {
        "mriad.thresholds.Conformal",
        "mriad.thresholds.ExtremeValue",
        "mriad.thresholds.Fixed",
        "mriad.thresholds.MaxF1",
        "mriad.thresholds.MeanStd",
        "mriad.thresholds.Quantile",
        "mriad.thresholds.Sensitivity",
        "mriad.thresholds.Youden",
    }
)
CONSTRUCTORS: Mapping[str, frozenset[str]] = {
    "model": _SCORE
    | {
        "mriad.models.Autoencoder",
        "mriad.models.CompactVAE",
        "mriad.models.DenoisingAutoencoder",
        "mriad.models.Ensemble",
        "mriad.models.FeatureAutoencoder",
        "mriad.models.Intensity",
        "mriad.published.medianomaly.MedIAnomalyVAE",
        "mriad.models.Nearest",
        "mriad.models.PCA",
        "mriad.models.PatchCore",
        "mriad.published.residual_vae.ResidualVAE",
        "mriad.models.SyntheticAnomaly",
        "mriad.models.features.Encoder",
        "mriad.published.medianomaly.MedIAnomalyNetwork",
        "mriad.published.medianomaly.MedIAnomalyVAENetwork",
        "mriad.models.networks.AutoencoderNetwork",
        "mriad.published.residual_vae.ResidualVAENetwork",
        "mriad.models.networks.VAENetwork",
        "mriad.models.networks_3d.VolumeAutoencoderNetwork",
        "mriad.models.networks_3d.VolumeVAENetwork",
        "mriad.models.unet.UNet",
        "torch.optim.Adam",
        "torch.optim.AdamW",
        "torch.optim.lr_scheduler.PolynomialLR",
        "torch.optim.lr_scheduler.ReduceLROnPlateau",
    },
    "score": _SCORE,
    "data": frozenset(
        {
            "albumentations.Affine",
            "albumentations.Downscale",
            "albumentations.ElasticTransform",
            "albumentations.GaussNoise",
            "albumentations.GaussianBlur",
            "albumentations.HorizontalFlip",
            "albumentations.Illumination",
            "albumentations.RandomBrightnessContrast",
            "albumentations.RandomGamma",
            "mriad.data.datamodule.MRIDataModule",
            "mriad.data.training.anomalies.Anomalies",
            "mriad.data.training.anomalies.Blob",
            "mriad.data.training.anomalies.Deformation",
            "mriad.data.training.anomalies.ForeignPatch",
            "mriad.data.training.anomalies.Inversion",
            "mriad.data.training.anomalies.Ring",
            "mriad.data.training.augment.Augment",
            "mriad.data.training.augment.RandomContrast",
            "mriad.data.training.simulation.Simulation",
            "mriad.data.layouts.atlas",
            "mriad.data.layouts.bids",
            "mriad.data.layouts.br35h",
            "mriad.data.layouts.brats",
            "mriad.data.layouts.folder",
            "mriad.data.layouts.isles22",
            "mriad.data.layouts.ixi",
            "mriad.data.layouts.lgg",
            "mriad.data.layouts.mslub",
            "mriad.data.layouts.navoneel",
            "mriad.data.layouts.nickparvar",
            "mriad.data.layouts.synthetic",
            "mriad.data.layouts.synthetic_volumes",
            "mriad.data.layouts.volumes",
            "mriad.data.layouts.wmh",
            "mriad.data.preparing.preprocess.Preprocess",
            "mriad.data.preparing.volumes.PrepareVolume",
            "mriad.published.splits.GroupedMedIAnomaly",
            "mriad.published.splits.PublishedMedIAnomaly",
            "mriad.published.splits.PublishedNavoneel",
            "mriad.published.splits.PublishedNickparvar",
            "mriad.data.roles.splits.AllTest",
            "mriad.data.roles.splits.GroupedSplit",
            "mriad.data.roles.splits.SplitFromCSV",
            "mriad.data.roles.recorded.SplitFromInit",
        }
    ),
    "threshold": _THRESHOLD,
    "trainer": frozenset({"lightning.Trainer"}),
    "callbacks": _THRESHOLD
    | {
        "lightning.pytorch.callbacks.EarlyStopping",
        "lightning.pytorch.callbacks.ModelCheckpoint",
        "lightning.pytorch.callbacks.RichProgressBar",
        "mriad.callbacks.LastCheckpoint",
        "mriad.callbacks.ThresholdCalibration",
    },
}
_NEVER_USED = ("logger", "sweep")  # parts of a stored config: whoever loads it has a store and a study of their own
_OF_HYDRA = {"_target_": str, "_partial_": bool, "_convert_": str, "_recursive_": bool, "_args_": list}
_ADDRESS = re.compile(r"://|::|^\s*(file|data|hf[-_]hub|local[-_]dir):", re.IGNORECASE)  # of URLs, fsspec and timm
VARIABLE = "MRIAD_TRUSTED"


def require_trusted(config: Any) -> None:
    """Hold a stored config to plain data that names known constructors only, and no place outside of this machine.

    Classes of one's own are known where the environment variable ``MRIAD_TRUSTED`` lists them, by their full names with
    commas between.

    Args:
        config: the config as it was read, before OmegaConf or Hydra have seen it.

    Raises:
        MriadError: if it is no plain data, or names anything else.
    """
    if not isinstance(config, dict) or not _is_plain(config):
        raise MriadError("its config is no plain data; do not trust the file")
    own = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
    for part, content in config.items():
        known = CONSTRUCTORS.get(part, frozenset()) | own
        for place, key, value in _values(content, part):
            if isinstance(value, str) and "${" in value:
                raise MriadError(
                    f"its config has {place}={value}, which would be looked up on this machine; do not trust the file"
                )
            if part in _NEVER_USED:
                continue
            if isinstance(value, str) and _ADDRESS.search(value):
                raise MriadError(
                    f"its config has {place}={value}, an address outside of this machine; do not trust the file"
                )
            if not isinstance(value, _OF_HYDRA.get(key, object)):
                raise MriadError(f"its config has {place}={value}, which means nothing; do not trust the file")
            if key == "_target_" and value not in known:
                raise MriadError(
                    f"it asks for '{value}' in {place}, which no option file of this mriad names there; if the code "
                    f"and the file are your own, set {VARIABLE}={value}, else do not trust the file"
                )


def require_local(state: Any) -> None:
    """Hold what callbacks have kept to names of files below their folders.

    Raises:
        MriadError: if a text in it leads elsewhere.
    """
    if isinstance(state, dict):
        state = [*state.keys(), *state.values()]
    if isinstance(state, list | tuple | set):
        for value in state:
            require_local(value)
    elif isinstance(state, str) and (_ADDRESS.search(state) or ".." in re.split(r"[/\\]", state)):
        raise MriadError(f"its callbacks have kept '{state}', a place elsewhere; do not trust the file")


def _is_plain(node: Any) -> bool:
    if type(node) is dict:
        return all(type(key) in (str, int) and _is_plain(value) for key, value in node.items())
    if type(node) is list:
        return all(_is_plain(value) for value in node)
    return node is None or type(node) in (str, int, float, bool)


def _values(node: Any, place: str, key: str = "") -> Iterator[tuple[str, str, Any]]:
    """Dotted place, last key and value of all that stands in a node, and of what Hydra has a word for as a whole."""
    if key in _OF_HYDRA or not isinstance(node, dict | list):
        yield place, key, node
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _values(value, f"{place}.{name}", str(name))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _values(value, f"{place}[{number}]")
