"""The folder of a Kaggle data set: where the user says it is, or where kagglehub puts it."""

from __future__ import annotations

import logging
from pathlib import Path

from mriad.data.layouts.files import has_images
from mriad.errors import MriadError

log = logging.getLogger(__name__)


def kaggle_folder(handle: str, *, root: str | Path | None, download: bool) -> Path:
    """Folder of a data set, fetched from Kaggle where allowed and not there yet.

    Args:
        handle: owner and name on Kaggle, for example ``ahmedhamada0/brain-tumor-detection``.
        root: the unzipped data set; None if the user has none.
        download: fetch the data set if ``root`` is None, missing or without images. kagglehub keeps it in its
            own cache, so it is fetched once.

    Raises:
        MriadError: if there are no images and nothing may be fetched, or if fetching fails.
    """
    address = f"https://www.kaggle.com/datasets/{handle}"
    advice = f"point data.root at the unzipped data set ({address}) or set data.download=true"
    folder = None if root is None else Path(root).expanduser().absolute()
    if folder is not None and has_images(folder):
        return folder
    if download:
        return fetch(handle)
    if folder is None:
        raise MriadError(f"data.root is not set: {advice}.")
    if folder.is_dir():
        raise MriadError(f"The folder {folder} holds no images: {advice}.")
    raise MriadError(f"There is no folder {folder}: {advice}.")


def fetch(handle: str) -> Path:
    """Fetch a data set with kagglehub and return its folder.

    Raises:
        MriadError: if kagglehub is not installed or cannot fetch it.
    """
    try:
        import kagglehub
    except ImportError as error:
        raise MriadError(
            "data.download=true needs kagglehub, which is not installed: run pip install 'mriad[download]'."
        ) from error
    log.info("Fetching %s from Kaggle; later runs find it in kagglehub's cache.", handle)
    try:
        folder = Path(kagglehub.dataset_download(handle))
    except Exception as error:  # kagglehub lets through whatever its HTTP client, the archive or the disk raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MriadError(
            f"Kaggle data set {handle} could not be fetched ({reason}): check the network, or fetch it by "
            f"hand from https://www.kaggle.com/datasets/{handle} and point data.root at the unzipped folder."
        ) from error
    log.info("Kaggle data set %s lies in %s.", handle, folder)
    return folder
