"""MLflow's pages in a browser: what a person sees who compares the jobs of a sweep.

The screenshots lie in ``ui/`` below pytest's folder of the session, which pytest keeps, or below ``--basetemp``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from browser import Browser, chromium

from .command_line import REPOSITORY, Terminal, TrainedRun, users_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on PATH to open the pages in"),
]

# MLflow remembers in the browser that it is used for models, and that its assistant has been seen
REMEMBERED = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.assistant.panelOpen_v1": "false",
}
ROWS = (
    "[...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row')]"
    ".sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))"
    ".map(row => row.querySelector('a[href*=\"/runs/\"]')?.innerText)"
)
# the numbers to the right of a metric in the grid of a comparison, whose halves scroll apart if a cell is scrolled to
BESIDE = """(name => {
  const cells = [...document.querySelectorAll('.ReactVirtualized__Grid *')];
  const head = cells.findLast(cell => cell.innerText?.trim() === name && cell.getBoundingClientRect().width);
  head?.closest('.ReactVirtualized__Grid').scrollIntoView({block: 'center'});
  const middle = cell => { const at = cell.getBoundingClientRect(); return at.y + at.height / 2; };
  const right = cell => cell.getBoundingClientRect().right;
  const numbers = head && cells.filter(cell => cell.innerText && !cell.children.length && cell !== head);
  return numbers?.filter(cell => Math.abs(middle(cell) - middle(head)) < 8 && right(cell) > right(head))
    .map(cell => Number(cell.innerText));
})"""


@dataclass(frozen=True)
class Pages:
    """A browser before the MLflow that holds one sweep."""

    browser: Browser
    address: str
    sweep: TrainedRun
    jobs: list[TrainedRun]

    @property
    def names(self) -> list[str]:
        return [job.tags["mlflow.runName"] for job in self.jobs]

    @property
    def experiment(self) -> str:
        return f"#/experiments/{self.sweep.stored.info.experiment_id}/runs"

    def open(self, place: str, until: str) -> None:
        """Open a page and wait until a JavaScript expression is true."""
        self.browser.open(f"{self.address}/{place}")
        self.browser.wait_for(until)

    def link(self, text: str) -> str:
        """Where a link of the page leads, behind the server's address."""
        found = f"[...document.querySelectorAll('a')].find(link => link.innerText === {json.dumps(text)})?.href"
        return str(self.browser.wait_for(found)).removeprefix(f"{self.address}/")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path, scans: Path) -> Iterator[Pages]:
    terminal = Terminal(tmp_path_factory.mktemp("ui", numbered=False), store=migrated_store, draws=True)
    data = ("data=folder", f"data.root={scans}", "data.image_size=32", "data.batch_size=8")
    vary = ("model.network.latent_dim=4,8,16", "logger.log_model=false")
    terminal.train("-m", *data, *vary, "trainer.max_epochs=1").ok()
    jobs = [TrainedRun(terminal, run.info.run_id) for run in terminal.runs("training")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["make", "-f", str(REPOSITORY / "Makefile"), "-o", "install", "ui", f"PORT={port}", f"VENV={sys.prefix}"]
    with (terminal.folder / "ui.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=terminal.folder, env=users_environment(), stdout=log, stderr=log, start_new_session=True
        )
    browser = Browser(terminal.folder)
    found = Pages(browser, f"http://127.0.0.1:{port}", terminal.newest("sweep"), jobs)
    try:
        _wait_for(found.address, server)
        browser.open(found.address)
        for key, value in REMEMBERED.items():
            browser.run(f"localStorage.setItem({key!r}, {value!r})")
        yield found
    finally:
        browser.close()
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        try:
            requests.get(address, timeout=60)
            return
        except requests.ConnectionError:
            assert server.poll() is None, "make ui has ended"
            time.sleep(0.5)


def test_a_sweep_unfolds_into_its_jobs(pages: Pages) -> None:
    sweep = pages.sweep.tags["mlflow.runName"]
    assert sweep == "sweep model.network.latent_dim=4,8,16"
    pages.open(pages.experiment, f"{ROWS}.includes({json.dumps(sweep)})")
    pages.browser.click(".ag-row button")
    pages.browser.wait_for(f"{ROWS}.length === 4")
    shown = "[...document.querySelectorAll('.ag-row [col-id*=Dataset]')].map(cell => cell.innerText)"
    pages.browser.wait_for(f"{shown}.filter(text => text.includes('folder (')).length === 3")
    pages.browser.shoot("runs")
    for text in pages.browser.run(shown)[1:]:
        for data in pages.jobs[0].stored.inputs.dataset_inputs:
            assert f"folder ({data.dataset.digest})\n{data.tags[0].value.capitalize()}" in text
    assert set(pages.browser.run(ROWS)) == {sweep, *pages.names}
    assert sorted(pages.names) == [f"latent_dim={size} ae folder youden seed 0" for size in (16, 4, 8)]


def test_the_jobs_are_selected_best_first_and_compared(pages: Pages) -> None:
    pages.open(f"{pages.experiment}/{pages.sweep.id}", "document.body.innerText.includes('best first')")
    pages.browser.shoot("sweep")
    pages.open(pages.link("Select and compare the jobs"), f"{ROWS}.length === 3")
    shown = dict(zip(pages.names, pages.jobs, strict=True))
    rows = [shown[name] for name in pages.browser.run(ROWS)]
    assert [job.metrics["val/auroc"] for job in rows] == sorted((j.metrics["val/auroc"] for j in rows), reverse=True)
    heads = pages.browser.run("[...document.querySelectorAll('.ag-header-cell')].map(head => head.innerText)")
    assert {"model.network.latent_dim", "val/auroc", "test/auroc"} <= set(heads)
    for row in (0, 1):
        pages.browser.click(f".ag-row[row-index='{row}'] .ag-selection-checkbox")
    pages.browser.wait_for("document.querySelectorAll('.ag-pinned-left-cols-container .ag-row-selected').length === 2")
    pages.browser.shoot("selected")
    pages.browser.click("[data-testid=runs-compare-button]")
    for name in ("test/auroc", "test/average_precision"):
        told = pages.browser.wait_for(f"{BESIDE}({name!r})")
        assert sorted(told) == pytest.approx(sorted(job.metrics[name] for job in rows[:2]), abs=1e-3)
    pages.browser.shoot("compare")


def test_all_results_are_one_table(pages: Pages) -> None:
    pages.open(f"{pages.experiment}?viewStateShareKey=results", f"{ROWS}.length === 3")
    pages.browser.shoot("results")
    assert set(pages.browser.run(ROWS)) == set(pages.names)


def test_a_job_tells_its_numbers_and_shows_its_figures(pages: Pages) -> None:
    job = pages.jobs[0]
    pages.open(f"{pages.experiment}/{job.id}", "document.body.innerText.includes('The whole story')")
    pages.browser.shoot("run")
    assert f"AUROC {job.metrics['test/auroc']:.3f} [" in pages.browser.run("document.body.innerText")
    assert pages.link("report.html") == f"{pages.experiment}/{job.id}/artifacts/report.html"
    pages.open(
        f"{pages.experiment}/{job.id}/artifacts/plots/roc.png",
        "[...document.images].some(image => image.src.startsWith('blob:') && image.naturalWidth > 100)",
    )
    pages.browser.shoot("artifact")
