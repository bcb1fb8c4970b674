"""A headless Chromium that a test steers, over the pipe of the DevTools protocol: no driver needs to be installed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
_NO_GPU = ("--disable-gpu",)
_WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # drawn by the CPU
_PATIENCE = 300  # seconds after which something that does not appear is missing


def chromium() -> str | None:
    """Path of a Chromium or Chrome; None where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page of a browser with an empty profile.

    Args:
        folder: where its profile, its log and the screenshots lie.
        width: of the window, in pixels.
        height: of the window, in pixels.
        webgl: whether pages can draw with it.
    """

    def __init__(self, folder: Path, *, width: int = 1800, height: int = 1100, webgl: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        (read, its_write), (its_read, write) = os.pipe(), os.pipe()
        options = [*_OPTIONS, *(_WEBGL if webgl else _NO_GPU), f"--user-data-dir={folder / 'profile'}"]
        options += [f"--window-size={width},{height}", "about:blank"]
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", f'exec "$0" "$@" 3<&{its_read} 4>&{its_write}', str(chromium()), *options],
                pass_fds=(its_read, its_write),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for end in (its_read, its_write):
            os.close(end)
        self._answers, self._commands = os.fdopen(read, "rb"), os.fdopen(write, "wb", buffering=0)
        self._count, self._session = 0, ""
        page = next(each for each in self._ask("Target.getTargets")["targetInfos"] if each["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]

    def open(self, address: str) -> None:
        """Go to a page; a page that only differs behind the # is loaded anew as well."""
        self._ask("Page.navigate", url="about:blank")
        self._ask("Page.navigate", url=address)
        self.wait_for("location.href !== 'about:blank' && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page.

        Raises:
            RuntimeError: if it throws.
        """
        told = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(told["exceptionDetails"]["exception"]["description"])
        return told["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The value of a JavaScript expression as soon as it is true; a page that is still being built is no error."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            try:
                if value := self.run(script):
                    return value
            except RuntimeError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"{script} has not become true in {self.shoot('missing')} of {self.run('location.href')}")

    def click(self, selector: str, text: str = "") -> None:
        """Click the first element that a CSS selector finds and whose text, if given, is ``text``."""
        found = f"[...document.querySelectorAll({selector!r})].find(e => {text!r} === '' || e.innerText === {text!r})"
        place = self.wait_for(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const at = e.getBoundingClientRect();"
            f" return at.width && [at.x + at.width / 2, at.y + at.height / 2] }})({found})"
        )
        self.point(*place)

    def press(self, *keys: str) -> None:
        """Press keys, each by its name in ``KeyboardEvent.key``."""
        for key in keys:
            self._ask("Input.dispatchKeyEvent", type="keyDown", key=key, text=key if len(key) == 1 else "")
            self._ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def point(self, x: float, y: float) -> None:
        """Click a place of the window, in pixels."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def shoot(self, name: str) -> Path:
        """Keep what the window shows as ``<name>.png``."""
        file = self.folder / f"{name}.png"
        file.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))
        return file

    def close(self) -> None:
        """End the browser with all its processes."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self.folder / "profile", ignore_errors=True)

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command; events that come in between are passed over."""
        self._count += 1
        command = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        self._commands.write(json.dumps(command).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _read(self) -> bytes:
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            if not byte:
                raise RuntimeError(f"Chromium has ended: {(self.folder / 'chromium.log').read_text()[-2000:]}")
            message += byte
        return bytes(message)
