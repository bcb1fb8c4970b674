"""The picture of the guide to reading: ``python -m docs.generator.page PAGE``, of a page of synthetic heads."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TARGET = Path(__file__).parents[1] / "guides" / "review.png"
SIZE = "1440,820"  # of the window in pixels; a headless one keeps some for itself
COLOURS = 128  # of the palette
PATIENCE = 60_000  # ms of the page's own time until all is drawn


def main(page: Path) -> None:
    """Draw it with the Chromium that is there."""
    from PIL import Image

    chromium = shutil.which("chromium") or shutil.which("google-chrome") or "chrome"
    with tempfile.TemporaryDirectory() as profile:
        options = [
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--screenshot={TARGET}",
        ]
        options += ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", f"--window-size={SIZE}"]
        options.append(f"--virtual-time-budget={PATIENCE}")
        subprocess.run([chromium, *options, page.absolute().as_uri()], check=True)
    Image.open(TARGET).convert("RGB").quantize(COLOURS).save(TARGET, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
