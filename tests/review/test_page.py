"""The page in a headless Chromium: what stands where, and what hostile data does to it.

The screenshots lie in ``page/`` below pytest's folder of the session.
"""

import csv
import io
import shutil

import numpy as np
import pytest
from browser import Browser, chromium
from PIL import Image
from scipy.ndimage import binary_dilation

from mriad.review.encode import script
from mriad.review.folder import read_list, read_scan_of
from mriad.review.marks import read_marks

from .conftest import flat, nested, picture, scored, served, write_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on PATH to open the page in"),
]

SHOWN = "document.getElementById('message').hidden && page.panels.length && page.panels[0].data"
TEXT = "document.getElementById({!r}).textContent"
HOSTILE = "a/<img src=x onerror='window.harmed=1'>\u202e=\"';--</script><script>window.harmed=1</script>.nii.gz"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("page"), width=1200, height=760, webgl=True)
    yield browser
    browser.close()


def open_page(browser, folder):
    browser.open((folder / "index.html").as_uri())
    browser.run("localStorage.clear()")
    browser.open((folder / "index.html").as_uri())
    browser.wait_for(SHOWN)


def tiles(browser, name):
    """Each tile of the viewer as gray levels, and where an outline is drawn in it."""
    browser.run("page.panels.forEach(panel => { panel.cross = () => {}; panel.view.drawScene(); })")
    shot = np.asarray(Image.open(browser.shoot(name)).convert("RGB")).astype(int)
    left, top = browser.run("(at => [at.x, at.y])(page.panels[0].stage.getBoundingClientRect())")
    for tile in browser.run("page.panels[0].tiles()"):
        x, y, width, height = (round(value) for value in tile["box"])
        part = shot[round(top) + y : round(top) + y + height, round(left) + x : round(left) + x + width]
        drawn = part.max(axis=2) - part.min(axis=2) > 50  # the scan is gray
        yield part.min(axis=2), drawn, abs(tile["stepX"])


@pytest.mark.parametrize(("level", "gray", "lower"), [(None, 65, 0), (0.75, 165, 0), (None, 65, 7), (None, 65, 25)])
def test_the_outline_stands_where_the_mask_is_in_each_plane(browser, tmp_path, level, gray, lower):
    # the scan is bright exactly where its map is above the level: so are the pixels of the screen, but for smoothing
    open_page(browser, write_page(tmp_path, [("a.nii.gz", *nested(), scored(0.9), {"contrast": "T1"})]))
    browser.run("for (const name of ['show-map', 'show-smooth']) document.getElementById(name).click()")
    browser.run("page.panels[0].view.opts.isOrientationTextVisible = false")
    browser.run("page.panels[0].window(0, 255)")
    if level is not None:
        browser.run(f"setLevel({level})")
    browser.run(f"document.querySelector('.controls').style.paddingBottom = '{10 + lower}px'")  # in windows of any size
    browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = list(tiles(browser, f"outline-{level}-{lower}"))
    assert len(found) == 3
    for image, drawn, step in found:
        assert step > 6  # a voxel is wider than what is tolerated below
        bright = image > gray
        bright[drawn] = False
        inside = binary_dilation(bright, iterations=3)
        edge = inside & binary_dilation(~bright & ~drawn, iterations=3)  # within three pixels of both
        assert drawn.sum() > 100
        assert (drawn & ~binary_dilation(edge, iterations=2)).sum() == 0  # no line but where dark meets bright
        touching = binary_dilation(bright, iterations=1) & binary_dilation(~bright & ~drawn, iterations=1)
        assert touching.sum() == 0  # and nowhere do they meet without one


def test_a_picture_lies_as_its_file_has_it(browser, tmp_path):
    open_page(browser, write_page(tmp_path, [("b.png", *picture(), scored(0.5), {})]))
    browser.run("for (const name of ['show-map', 'show-smooth']) document.getElementById(name).click()")
    ((image, drawn, step),) = tiles(browser, "picture")
    rows, columns = np.nonzero(drawn)
    left = int((image.shape[1] - 40 * step) / 2)
    assert image[:, left + 30].mean() < image[:, -left - 30].mean()  # it brightens to the right
    assert abs(columns.max() - left - 30 * step) < 3 and abs(columns.min() - left - 3 * step) < 3
    assert abs(rows.min() - 5 * step) < 3 and abs(rows.max() - 21 * step) < 3
    assert browser.run(TEXT.format("lesions-title")) == "2 lesions above 0.5"


def test_a_lesion_is_gone_to_in_an_oblique_scan(browser, page):
    open_page(browser, page)
    browser.run("choose(2)")
    assert browser.run("page.panels.find(panel => panel.entry === current()).here()") == pytest.approx(
        read_scan_of(page, 0)["lesions"][1]["peak_at"], abs=0.01
    )
    assert browser.run("visible().length") == 2  # beside it the other contrast of the session
    there = browser.run("visible().find(panel => panel.entry !== current()).here()")
    assert np.linalg.norm(np.subtract(there, read_scan_of(page, 0)["lesions"][1]["peak_at"])) < 40


def test_keys_mark_and_the_server_keeps(browser, page):
    with served(page) as server:
        browser.open(server.address)
        browser.wait_for(SHOWN)
        assert browser.run("page.order") == [0, 2, 1, 3]
        browser.press("n", "x", "n", "t", "a", "j")
        browser.wait_for(f"page.at === 2 && {SHOWN} && page.now.lesions.length === 2")
        browser.press("f", "X", "c")
        assert browser.run("page.arming")
        at = browser.run(
            "(at => [at.x + at.width / 2, at.y + at.height / 2])(page.panels[0].stage.getBoundingClientRect())"
        )
        browser.point(*at)
        browser.wait_for("!marks.waiting.length")
        browser.run("document.getElementById('note').value = '=<b>1</b>'; keepNote()")
        browser.wait_for("!marks.waiting.length")
        events, wrong = read_marks(server.marks)
        assert wrong == []
        said = [(event.path, event.lesion, event.mark) for event in events]
        assert said[:3] == [("p1_T1.nii.gz", 2, "false"), ("p1_T1.nii.gz", 1, "true"), ("p1_T1.nii.gz", None, "agree")]
        assert said[3:6] == [("b.png", None, "false"), ("b.png", 1, "false"), ("b.png", 2, "false")]
        assert said[6:] == [("b.png", None, "missed"), ("b.png", None, "false")]
        assert events[-1].note == "=<b>1</b>"
        browser.open(server.address)  # they are there again, and others do not see them
        browser.wait_for(SHOWN)
        assert browser.run(TEXT.format("progress")) == "2 of 4 read"
        browser.run("document.getElementById('reader').value = 'béla'")
        browser.run("document.getElementById('reader').dispatchEvent(new Event('change'))")
        assert browser.run(TEXT.format("progress")) == "0 of 4 read"


def test_from_disk_marks_stay_in_the_browser_and_download_as_the_same_file(browser, page, tmp_path):
    open_page(browser, page)
    browser.press("a")
    assert "Say who reads" in browser.run(TEXT.format("trouble"))
    browser.run("document.getElementById('reader').value = '=anna'")
    browser.run("document.getElementById('reader').dispatchEvent(new Event('change')); document.activeElement.blur()")
    browser.press("a", "t")
    (tmp_path / "marks.csv").write_text(browser.run("marks.csv()"), encoding="utf-8")
    events, wrong = read_marks(tmp_path / "marks.csv")
    assert wrong == []
    assert [(event.reader, event.mark, event.lesion) for event in events] == [
        ("=anna", "agree", None),
        ("=anna", "true", 1),
    ]
    assert next(csv.reader(io.StringIO((tmp_path / "marks.csv").read_text())))[0] == "time"
    browser.open((page / "index.html").as_uri())
    browser.wait_for(SHOWN)
    assert browser.run(TEXT.format("progress")) == "1 of 4 read"


def test_hostile_names_notes_and_maps_do_no_harm(browser, tmp_path):
    folder = write_page(
        tmp_path,
        [
            (HOSTILE, *nested(), scored(0.9), {"contrast": "<script>"}),
            ("other.nii.gz", *nested(), scored(0.8), {}),
            ("bad.nii.gz", None, None, {"error": HOSTILE}, {}),
        ],
    )
    other = write_page(
        tmp_path / "other", [("x", *flat(nested()[0].grid.cropped((slice(0, 5),) * 3)), scored(0.1), {})]
    )
    mixed = read_scan_of(folder, 1) | {"map": read_scan_of(other, 0)["map"]}
    (folder / "scans" / "1.js").write_text(script("scan", 1, mixed))
    open_page(browser, folder)
    assert browser.run(TEXT.format("name")) == read_list(folder)["scans"][0]["path"]
    browser.run("document.getElementById('reader').value = '<u>r</u>'")
    browser.run("document.getElementById('reader').dispatchEvent(new Event('change'))")
    browser.run("document.getElementById('note').value = '<img src=x onerror=window.harmed=1>'; keepNote(); arrange()")
    browser.run("step(1)")
    message = browser.wait_for(
        "(text => text.includes('shape') && text)(document.getElementById('message').textContent)"
    )
    assert message == "This scan cannot be shown: the map has another shape than the scan"
    browser.run("step(1)")
    assert browser.run(TEXT.format("message")) == read_list(folder)["scans"][2]["error"]
    browser.run("step(-2)")
    browser.wait_for(SHOWN)
    assert browser.run(
        "window.harmed === undefined && document.querySelectorAll('main img[src=x], main script').length === 0"
    )


def test_two_thousand_scans_are_listed_by_the_rows_in_sight(browser, page, tmp_path):
    folder = tmp_path / "many"
    shutil.copytree(page, folder)
    told = read_list(page)
    first = told["scans"][0]
    told["scans"] = [
        first
        | {
            "path": f"sub-{number:04d}.nii.gz",
            "score": (number * 37 % 2000) / 2000,
            "examination": number,
            "shown": False,
        }
        for number in range(2000)
    ]  # the strangest is shown
    strangest = max(range(2000), key=lambda number: told["scans"][number]["score"])
    told["scans"][strangest]["shown"] = True
    shutil.copy(folder / "scans" / "0.js", folder / "scans" / f"{strangest}.js")
    (folder / "scans" / f"{strangest}.js").write_text(script("scan", strangest, read_scan_of(page, 0)))
    (folder / "list.js").write_text(script("list", told))
    open_page(browser, folder)
    assert browser.run("page.at") == strangest
    rows = "document.querySelectorAll('#rows .row').length"
    assert 5 < browser.run(rows) < 40
    browser.run("document.getElementById('list').scrollTop = 64 * 1990")
    browser.wait_for("[...document.querySelectorAll('#rows .file')].some(e => e.textContent === 'sub-0000.nii.gz')")
    assert browser.run(rows) < 40
    browser.run("document.getElementById('search').value = '199'; arrange()")
    assert browser.run(TEXT.format("shown")) == "12 of 2000 shown"


def test_the_slider_says_what_a_level_costs(browser, page):
    open_page(browser, page)
    cost = {
        level: browser.run(f"(setLevel({level}), {TEXT.format('level-cost')})") for level in (0.95, 0.85, 0.5, 0.3, 0.1)
    }
    assert [text.partition(" ")[0] for text in cost.values()] == ["no", "0.25", "1.63", "4.00", "below"]
    browser.press("0")
    assert browser.run(TEXT.format("level-value")) == "0.5 (calibrated)"


def test_nothing_is_asked_of_the_network(page):
    text = (page / "index.html").read_text()
    policy = text.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert "default-src 'none'" in policy and "http" not in policy and "*" not in policy
    assert "http" not in text.replace("http-equiv", "")
