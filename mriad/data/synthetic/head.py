"""What surrounds the brain: fluid, skull, scalp, and a rough face and neck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mriad.data.synthetic.fields import Axes, Floats, SmoothField, smoothstep

_STRAND = 0.35  # muscles, vessels and fat between them run down the neck: bumps are three times as high as wide


@dataclass(frozen=True, kw_only=True)
class HeadShape:
    """Thickness of the layers round one brain in mm, and the fields that vary them.

    The adult calvaria is about 5-8 mm thick (Li 2007), its middle layer, the marrow-filled diploe, a few mm
    (Lynnerup 2005).
    """

    fluid: float
    table: float
    diploe: float
    scalp: float
    face: Floats
    thickness: SmoothField
    diploe_pattern: SmoothField
    strands: SmoothField


def draw_head(rng: np.random.Generator) -> HeadShape:
    """Draw the layers and face of one subject."""
    return HeadShape(
        fluid=rng.uniform(1.2, 2.6),
        table=rng.uniform(1.5, 2.2),
        diploe=rng.uniform(1.8, 3.4),
        scalp=rng.uniform(4.5, 7.0),
        face=rng.normal(1, 0.03, 3).astype(np.float32),
        thickness=SmoothField(rng=rng, spacing=45, amplitude=0.15),
        diploe_pattern=SmoothField(rng=rng, spacing=16, amplitude=0.5),
        strands=SmoothField(rng=rng, spacing=6, amplitude=1.0, components=2),
    )


def head_layers(shape: HeadShape, *, points: Floats, hull: Floats, axes: Axes) -> dict[str, Floats]:
    """Shares in 0..1 of what fills the head beside the brain.

    Args:
        shape: the subject's layers.
        points: (3, ...), points of the atlas in mm.
        hull: distance to the surface of the brain in mm at these points.
        axes: axes of the grid in the scanner.

    Returns:
        ``inside`` (within the skull), ``fat``, ``muscle``, ``fluid`` (eyes) and ``marrow``.
    """
    thicker = np.clip(1 + shape.thickness.on(axes)[0], 0.4, 1.8)
    texture = shape.strands.on((axes[0], axes[1], _STRAND * axes[2]))
    inner = hull - shape.fluid * thicker  # distance to the inner table of the skull
    table, diploe = shape.table, shape.diploe * thicker
    inside = smoothstep(inner, 0.6, -0.6)
    marrow = _between(inner, table, table + diploe) * np.clip(0.6 + shape.diploe_pattern.on(axes)[0], 0, 1)
    outer = inner - 2 * table - diploe  # distance to the outside of the skull
    skin = _union(outer - shape.scalp * thicker, _face_and_neck(shape, points))
    # a saturation band over face and neck, as it is set against flow and swallowing, leaves them faint
    saturated = 1 - 0.85 * smoothstep(outer, 7, 26)
    soft = saturated * smoothstep(outer, -0.6, 0.6) * smoothstep(skin, 0.7, -0.7)
    flesh = {name: np.zeros_like(soft) for name in ("fat", "muscle", "fluid")}
    held = soft > 0
    fields = soft[held], skin[held], texture[:, held], points[:, held]
    for name, share in zip(flesh, _flesh(shape, *fields), strict=True):
        flesh[name][held] = share
    return {"inside": inside, **flesh, "marrow": marrow}


def _flesh(
    shape: HeadShape, soft: Floats, skin: Floats, texture: Floats, points: Floats
) -> tuple[Floats, Floats, Floats]:
    """Shares of fat, muscle and fluid (eyes) of what is soft around the skull.

    Args:
        shape: the subject's layers.
        soft: (n,) share of soft tissue at n points.
        skin: (n,) distance to the surface of head and neck in mm.
        texture: (2, n) fields without unit.
        points: (3, n), of the atlas in mm.
    """
    under_skin = smoothstep(skin, -shape.scalp - 3, -shape.scalp)
    fat = np.maximum(
        under_skin * smoothstep(skin, -1.0, -2.2) * (0.85 + 0.15 * np.clip(texture[0], -1, 1)),
        (1 - under_skin) * (0.12 + 0.75 * smoothstep(texture[0], 0.0, 1.8)),
    )
    dark = (1 - under_skin) * smoothstep(texture[1], 0.6, 2.0)  # bone, air and vessels in face and neck
    muscle = (1 - fat) * (1 - dark)
    air = _airways(points)
    eye, orbit = _orbits(points)
    eye, orbit = eye * soft, orbit * soft
    fat = soft * (1 - air) * fat * (1 - orbit) + 0.9 * orbit * (1 - eye)
    muscle = soft * (1 - air) * muscle * (1 - orbit)
    return fat, muscle, eye


def _between(distance: Floats, start: Floats | float, end: Floats | float) -> Floats:
    return smoothstep(distance - start, -0.5, 0.5) * smoothstep(distance - end, 0.5, -0.5)


def _union(first: Floats, second: Floats, blend: float = 12.0) -> Floats:
    """Distance to two shapes at once, with the crease between them filled over ``blend`` mm."""
    near = np.maximum(blend - np.abs(first - second), 0) / blend
    return np.minimum(first, second) - near * near * blend / 4


def _ellipsoid(points: Floats, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Floats:
    """Distance to an ellipsoid in mm, exact on its surface only; negative inside."""
    ratio = np.sqrt(sum(np.square((points[i] - centre[i]) / radii[i]) for i in range(3)))
    return ((ratio - 1) * min(radii)).astype(np.float32)


def _face_and_neck(shape: HeadShape, points: Floats) -> Floats:
    """Distance to a face, nose and neck placed by eye on the MNI152 head."""
    width, depth, height = shape.face
    face = _ellipsoid(points, (0, 30, -62), (72 * width, 62 * depth, 72 * height))
    nose = _ellipsoid(points, (0, 92 * depth, -54), (13, 20, 24))
    column = np.sqrt(np.square(points[0] / (60 * width)) + np.square((points[1] + 36) / (58 * depth)))
    neck = np.maximum((column - 1) * 58, points[2] + 40)
    return _union(_union(face, nose, 10), neck, 32)


def _airways(points: Floats) -> Floats:
    """Share of air: nose, throat, and the sinuses of cheek, forehead and sphenoid bone."""
    mirrored = np.stack([np.abs(points[0]), points[1], points[2]])
    shapes = (
        _ellipsoid(mirrored, (5, 66, -56), (3.5, 26, 17)),
        _ellipsoid(mirrored, (0, 4, -86), (9, 7, 36)),
        _ellipsoid(mirrored, (29, 56, -62), (12, 15, 15)),
        _ellipsoid(mirrored, (7, 22, -34), (7, 10, 8)),
        _ellipsoid(mirrored, (9, 80, -18), (9, 4, 9)),
    )
    return smoothstep(np.minimum.reduce(shapes), 0.8, -0.8)


def _orbits(points: Floats) -> tuple[Floats, Floats]:
    """Shares of eyeball and of the whole orbit, which fat fills round the eye."""
    mirrored = np.stack([np.abs(points[0]), points[1], points[2]])
    eye = smoothstep(_ellipsoid(mirrored, (33, 68, -38), (12, 12, 12)), 0.7, -0.7)
    orbit = smoothstep(_ellipsoid(mirrored, (29, 56, -38), (18, 28, 17)), 1, -1)
    return eye, np.maximum(eye, orbit)
