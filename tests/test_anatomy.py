from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from mriad.anatomy import bounding_box, brain_mask, head_mask
from mriad.data.layouts import br35h
from mriad.data.preparing.preprocess import Preprocess
from mriad.data.reading.decode import decode
from mriad.data.reading.masks import read_mask

Box = tuple[int, int, int, int]


def ellipse(shape: tuple[int, int], *, centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    row, column = np.mgrid[: shape[0], : shape[1]]
    return ((row - centre[0]) / radii[0]) ** 2 + ((column - centre[1]) / radii[1]) ** 2 <= 1


TRUTH = ellipse((200, 160), centre=(105, 78), radii=(70, 50))


def scan(head: np.ndarray = TRUTH, *, background: float = 0.0, tissue: float = 0.5) -> np.ndarray:
    """A head with a gentle texture on a plain background."""
    row, column = np.indices(head.shape)
    texture = 0.1 * np.sin(row / 7) * np.cos(column / 5)
    return np.where(head, tissue + texture, background).astype(np.float32)


def box_of(mask: np.ndarray) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def assert_same_box(mask: np.ndarray, truth: np.ndarray, *, within: int = 4) -> None:
    assert np.abs(np.subtract(box_of(mask), box_of(truth))).max() <= within, (box_of(mask), box_of(truth))


@pytest.mark.parametrize(("background", "tissue"), [(0.0, 0.5), (0.0, 0.2), (0.3, 0.7), (0.6, 0.2), (1.0, 0.4)])
def test_head_is_found_on_dark_grey_and_bright_backgrounds(background, tissue):
    mask = head_mask(scan(background=background, tissue=tissue))
    assert mask.dtype == bool
    assert overlap(mask, TRUTH) > 0.93


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_head_is_found_in_front_of_noise(noise):
    real, imaginary = np.random.default_rng(0).normal(0, noise, (2, *TRUTH.shape))
    noisy = np.hypot(scan() + real, imaginary).astype(np.float32)
    mask = head_mask(noisy)
    assert overlap(mask, TRUTH) > 0.9
    assert_same_box(mask, TRUTH)


def test_text_in_the_corners_is_no_part_of_the_head():
    image = Image.fromarray((scan() * 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    pen.text((3, 3), "R", fill=255, font_size=18)
    pen.text((100, 184), "W 600 L 407", fill=255)
    mask = head_mask(np.asarray(image, dtype=np.float32) / 255)
    assert overlap(mask, TRUTH) > 0.93
    assert_same_box(mask, TRUTH)


@pytest.mark.parametrize(
    "frame",
    [
        {"right": 3},
        {"left": 30, "right": 30},
        {"top": 4, "bottom": 4, "left": 4, "right": 4},
        {"bottom": 1, "right": 1},
        {"top": 25},
    ],
    ids=lambda frame: "-".join(frame),
)
@pytest.mark.parametrize("brightness", [1.0, 0.6])
def test_white_bars_and_frames_are_peeled_off(frame, brightness):
    image = scan(tissue=0.4)
    inner = image[25:180, 25:132]  # the head with a thin dark margin
    widths = [(frame.get("top", 0), frame.get("bottom", 0)), (frame.get("left", 0), frame.get("right", 0))]
    truth = np.pad(TRUTH[25:180, 25:132], widths)
    mask = head_mask(np.pad(inner, widths, constant_values=brightness))
    assert_same_box(mask, truth)
    assert overlap(mask, truth) > 0.9


def test_a_bar_that_touches_the_head_is_left_out_with_its_blended_edge():
    head = ellipse((400, 300), centre=(200, 160), radii=(180, 139))
    image = scan(head, tissue=0.4)
    image[:, 296:] = 1.0
    mask = head_mask(image)
    assert not mask[:, 296:].any()
    assert overlap(mask, head) > 0.93


def test_scalp_belongs_to_the_head_though_dark_skull_parts_it_from_the_brain():
    brain = ellipse(TRUTH.shape, centre=(105, 78), radii=(54, 36))
    skull = ellipse(TRUTH.shape, centre=(105, 78), radii=(63, 44))
    image = np.where(TRUTH & ~skull, 0.9, 0.0) + np.where(brain, 0.5, 0.0)
    assert overlap(head_mask(image.astype(np.float32)), TRUTH) > 0.93


def test_a_scalp_with_small_breaks_still_holds_the_head_together():
    brain = ellipse(TRUTH.shape, centre=(105, 78), radii=(54, 36))
    skull = ellipse(TRUTH.shape, centre=(105, 78), radii=(63, 44))
    image = np.where(TRUTH & ~skull, 0.9, 0.0) + np.where(brain, 0.5, 0.0)
    image[100:104, :40] = 0.0
    image[30:50, 70:74] = 0.0
    assert_same_box(head_mask(image.astype(np.float32)), TRUTH)


def test_a_skull_stripped_brain_is_found():
    brain = ellipse((240, 240), centre=(120, 125), radii=(80, 60))
    assert overlap(head_mask(scan(brain)), brain) > 0.93


def test_dark_ventricles_and_air_inside_are_filled():
    hole = ellipse(TRUTH.shape, centre=(100, 78), radii=(20, 12))
    mask = head_mask(np.where(hole, 0.0, scan()).astype(np.float32))
    assert mask[hole].all()


def test_a_head_that_is_cut_off_by_the_image_reaches_its_edge():
    head = ellipse((180, 180), centre=(190, 90), radii=(150, 70))
    mask = head_mask(scan(head))
    assert box_of(mask)[2] == 180
    assert overlap(mask, head) > 0.93


@pytest.mark.parametrize("shape", [(60, 300), (300, 60), (512, 384), (33, 41)])
def test_heads_of_all_proportions_are_found(shape):
    head = ellipse(shape, centre=(shape[0] / 2, shape[1] / 2), radii=(shape[0] * 0.4, shape[1] * 0.35))
    mask = head_mask(scan(head))
    assert mask.shape == shape
    assert overlap(mask, head) > 0.88


def test_a_plain_rectangle_counts_as_a_head():
    image = np.zeros((120, 100), dtype=np.float32)
    image[30:90, 20:70] = 0.7
    assert overlap(head_mask(image), image > 0) > 0.98


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (200, 160)])
def test_an_image_without_contrast_is_all_head(shape, value):
    assert head_mask(np.full(shape, value, dtype=np.float32)).all()


def test_specks_alone_are_no_head():
    image = np.zeros((100, 100), dtype=np.float32)
    image[40:45, 50:55] = 1.0
    image[10:14, 10:14] = 1.0
    image[88:92, 90:94] = 1.0
    assert head_mask(image).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 3), (5, 7), (3, 400), (400, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_tiny_and_odd_images_of_noise_keep_their_shape_and_some_head(shape, seed):
    mask = head_mask(np.random.default_rng(seed).random(shape, dtype=np.float32))
    assert mask.shape == shape
    assert mask.any()


def test_the_range_of_intensities_does_not_matter():
    image = scan(background=0.1)
    np.testing.assert_array_equal(head_mask(image), head_mask(image * 4000 - 1000))


def test_the_mask_turns_and_flips_with_the_image():
    image = scan()
    mask = head_mask(image)
    for turned, expected in ((image[::-1], mask[::-1]), (image[:, ::-1], mask[:, ::-1]), (image.T, mask.T)):
        assert overlap(head_mask(np.ascontiguousarray(turned)), expected) > 0.97


def test_the_image_is_left_as_it_was():
    image = scan()
    before = image.copy()
    head_mask(image)
    np.testing.assert_array_equal(image, before)


HEAD = ellipse((128, 128), centre=(64, 64), radii=(63, 52))
SKULL = ellipse((128, 128), centre=(64, 64), radii=(58, 47))
BRAIN = ellipse((128, 128), centre=(64, 64), radii=(53, 42))


def head(*, scalp: float = 0.9, skull: float = 0.05, brain: float = 0.45, background: float = 0.0) -> np.ndarray:
    """A slice that is cropped and scaled: scalp, skull and textured brain."""
    row, column = np.indices(HEAD.shape)
    tissue = brain * (1 + 0.2 * np.sin(row / 7) * np.cos(column / 5))
    return np.select([BRAIN, SKULL, HEAD], [tissue, skull, scalp], background).astype(np.float32)


@pytest.mark.parametrize(("rows", "columns"), [(slice(2, 5), slice(1, 7)), (slice(0, 9), slice(0, 2)), (3, 4)])
def test_a_bounding_box_ends_behind_the_last_pixel(rows, columns):
    mask = np.zeros((9, 8), dtype=bool)
    mask[rows, columns] = True
    top, left, bottom, right = bounding_box(mask)
    assert mask[top:bottom, left:right].all() and mask[top:bottom, left:right].sum() == mask.sum()
    assert bounding_box(mask.T) == (left, top, right, bottom)


@pytest.mark.parametrize(
    "contrast",
    [
        {},
        {"scalp": 0.3, "brain": 0.7},  # scalp darker than brain
        {"skull": 0.18},  # marrow
        {"background": 1.0, "scalp": 0.6},
        {"brain": 0.2, "skull": 0.02},
    ],
    ids=str,
)
def test_brain_is_found_inside_scalp_and_skull(contrast):
    mask = brain_mask(head(**contrast))
    assert mask.dtype == bool
    assert overlap(mask, BRAIN) > 0.9
    assert not mask[HEAD & ~SKULL].any()


def test_a_skull_stripped_brain_keeps_its_edge():
    row, column = np.indices(HEAD.shape)
    stripped = np.where(HEAD, 0.5 + 0.1 * np.sin(row / 7) * np.cos(column / 5), 0.0).astype(np.float32)
    assert overlap(brain_mask(stripped), HEAD) > 0.94


def test_a_thick_bright_scalp_is_peeled_off_though_no_skull_parts_it_from_the_brain():
    inner = ellipse(HEAD.shape, centre=(64, 64), radii=(54, 44))
    mask = brain_mask(np.where(inner, 0.45, np.where(HEAD, 0.9, 0.0)).astype(np.float32))
    assert overlap(mask, inner) > 0.9
    assert (mask & ~inner).sum() < 0.1 * (HEAD & ~inner).sum()


def test_a_muscle_that_a_thin_bridge_ties_to_the_brain_is_cut_off():
    brain = ellipse(HEAD.shape, centre=(54, 64), radii=(42, 42))
    muscle = ellipse(HEAD.shape, centre=(111, 64), radii=(8, 16))
    image = np.where(brain | muscle, 0.5, np.where(HEAD & ~SKULL, 0.9, np.where(HEAD, 0.05, 0.0)))
    image[95:105, 63:66] = 0.5
    mask = brain_mask(image.astype(np.float32))
    assert overlap(mask, brain) > 0.88
    assert mask[muscle].mean() < 0.1


STRIPPED = {"scalp": 0.0, "skull": 0.0}
SHOWN = [{}, STRIPPED, {"background": 1.0, "scalp": 0.6}, {"background": 0.3, "scalp": 0.9}]


def burnt_in(image: np.ndarray, *, value: float = 1.0) -> np.ndarray:
    """A letter and a line of numbers in the corners."""
    canvas = Image.fromarray((image * 255).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    pen.text((1, 1), "R", fill=int(value * 255), font_size=12)
    pen.text((84, 115), "W 600", fill=int(value * 255), font_size=11)
    return np.asarray(canvas, dtype=np.float32) / 255


@pytest.mark.parametrize("contrast", SHOWN, ids=str)
def test_text_that_is_burnt_in_is_no_brain(contrast):
    image = head(**contrast)
    written = burnt_in(image, value=0.0 if contrast.get("background") == 1.0 else 1.0)
    text = np.abs(written - image) > 0.1
    assert text.sum() > 100
    mask = brain_mask(written)
    assert overlap(mask, BRAIN) > 0.9
    assert not mask[text].any()


@pytest.mark.parametrize("background", [1.0, 0.25])
def test_a_skull_stripped_brain_on_a_bright_background_is_found(background):
    mask = brain_mask(np.where(BRAIN, head(brain=0.6), background).astype(np.float32))
    assert overlap(mask, BRAIN) > 0.9


@pytest.mark.parametrize("contrast", SHOWN, ids=str)
def test_the_brain_is_one_piece_without_a_hole(contrast):
    image = head(**contrast)
    image[ellipse(HEAD.shape, centre=(60, 64), radii=(12, 6))] = 0.02  # ventricles
    mask = brain_mask(burnt_in(image))
    assert ndimage.label(mask)[1] == 1
    np.testing.assert_array_equal(ndimage.binary_fill_holes(mask), mask)


@pytest.mark.parametrize("value", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("centre", [(64, 64), (30, 64), (64, 92), (95, 45)])
def test_a_lesion_is_inside_the_brain_however_dark_or_bright(value, centre):
    lesion = ellipse(HEAD.shape, centre=centre, radii=(11, 9)) & BRAIN
    mask = brain_mask(np.where(lesion, value, head()).astype(np.float32))
    assert mask[lesion].mean() > 0.95
    assert overlap(mask, BRAIN) > 0.88


def test_wide_dark_clefts_belong_to_the_brain():
    cleft = BRAIN & ellipse(HEAD.shape, centre=(11, 64), radii=(34, 6))
    mask = brain_mask(np.where(cleft, 0.02, head()).astype(np.float32))
    assert mask[cleft].mean() > 0.8
    assert overlap(mask, BRAIN) > 0.9


def test_a_brain_that_the_image_cuts_off_reaches_its_edge():
    stripped = ellipse((100, 100), centre=(110, 50), radii=(100, 44))
    row, column = np.indices(stripped.shape)
    mask = brain_mask(np.where(stripped, 0.5 + 0.1 * np.sin(row / 7) * np.cos(column / 5), 0.0).astype(np.float32))
    assert overlap(mask, stripped) > 0.93
    assert mask[95].sum() > 0.9 * stripped[95].sum()


def test_brain_masks_of_larger_slices_are_the_same_mask_enlarged():
    large = np.kron(head(), np.ones((2, 2), dtype=np.float32))
    np.testing.assert_array_equal(brain_mask(large)[::2, ::2], brain_mask(head()))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (32, 32), (128, 100)])
def test_a_slice_without_contrast_still_has_a_mask(shape, value):
    mask = brain_mask(np.full(shape, value, dtype=np.float32))
    assert mask.shape == shape
    assert mask.dtype == bool


@pytest.mark.parametrize("size", [8, 16, 33, 64])
@pytest.mark.parametrize("seed", range(3))
def test_slices_of_noise_have_a_mask_too(size, seed):
    assert brain_mask(np.random.default_rng(seed).random((size, size), dtype=np.float32)).any()


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "box"),  # top, left, bottom, right of the head by eye, in shares of the image
    [
        ("navoneel/brain_tumor_dataset/no/No16.jpg", (0.03, 0.25, 0.98, 0.75)),  # white bars left and right
        ("navoneel/brain_tumor_dataset/no/33 no.jpg", (0.0, 0.11, 0.98, 0.84)),  # a white line at the right
        ("navoneel/brain_tumor_dataset/no/20 no.jpg", (0.04, 0.08, 0.95, 0.93)),  # a thin white frame
        ("navoneel/brain_tumor_dataset/yes/Y89.JPG", (0.03, 0.05, 0.98, 0.94)),  # a thick one
        ("navoneel/brain_tumor_dataset/yes/Y85.JPG", (0.03, 0.02, 0.96, 0.98)),  # scalp apart from the brain
        ("br35h/no/no384.jpg", (0.08, 0.14, 0.9, 0.88)),  # lines at two sides and a ruler
        ("br35h/no/no819.jpg", (0.02, 0.12, 1.0, 0.93)),  # scalp apart from the brain
    ],
)
def test_real_heads_are_boxed_as_the_eye_would(data_root: Path, file, box):
    pixels = decode(data_root / file).pixels
    found = np.divide(box_of(head_mask(pixels)), [*pixels.shape, *pixels.shape])
    assert np.abs(found - box).max() < 0.06, found


@pytest.mark.real
def test_nearly_all_real_heads_fill_most_of_their_box(data_root: Path):
    shares = []
    for file in sorted((data_root / "navoneel").rglob("*.[jJ][pP][gG]"))[::3]:
        mask = head_mask(decode(file).pixels)
        top, left, bottom, right = box_of(mask)
        shares.append(mask.sum() / ((bottom - top) * (right - left)))
    shares = np.array(shares)
    assert len(shares) > 50
    # an ellipse fills 0.785 of its box; a box that holds a frame or a corner's text, much less; no head at all, 1
    assert ((shares > 0.7) & (shares < 0.95)).mean() > 0.9


@pytest.mark.real
def test_real_lesions_lie_inside_the_brain_and_real_scalp_does_not(data_root: Path):
    catalog = br35h(root=data_root / "br35h")
    table = catalog.table[catalog.table["mask"] != ""].iloc[::8]
    preprocess, inside, shares = Preprocess(image_size=128), [], []
    for path, mask in zip(table["path"], table["mask"], strict=True):
        pixels = decode(catalog.root / path).pixels
        image, geometry = preprocess(pixels)
        lesion = geometry.mask_to_network(read_mask(catalog.root, mask, size=pixels.shape))
        brain = brain_mask(image.astype(np.float32) / 255)
        inside.append(brain[lesion].mean())
        shares.append(brain.sum() / head_mask(image.astype(np.float32) / 255).sum())
    assert len(inside) > 50
    assert np.mean(inside) > 0.97
    assert np.mean(np.array(inside) > 0.9) > 0.93
    assert 0.6 < np.median(shares) < 0.85
