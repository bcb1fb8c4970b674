"""How tissue looks: the signal of T1, T2, FLAIR and DWI sequences, and what a scanner adds to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mriad.data.synthetic.fields import Axes, Floats, SmoothField, smoothstep

CONTRASTS = ("T1", "T2", "FLAIR")


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """What decides the signal of a tissue.

    Args:
        density: share of protons that give signal, relative to water.
        t1: longitudinal relaxation time, ms.
        t2: transverse relaxation time, ms.
        diffusion: apparent diffusion coefficient, 1e-3 mm2/s.
    """

    density: float
    t1: float
    t2: float
    diffusion: float = 0.8


# Relaxation at 3 T: grey and white matter from Wansapura 1999 (J Magn Reson Imaging 9:531), muscle from
# Stanisz 2005 (Magn Reson Med 54:507), fat's T1 from de Bazelaire 2004 (Radiology 230:652), the T1 of
# fluid from Rooney 2007 (Magn Reson Med 57:308). Fat's T2 is longer than by a single echo, since fast
# spin echo refocuses J-coupling (Henkelman 1992, J Magn Reson Imaging 2:533). Densities are rounded;
# those of fat and marrow are low, as part of it is lost to chemical shift and bone. Diffusion of the brain
# from Helenius 2002 (AJNR 23:194), of fluid that of water at 37 degrees.
TISSUES = {
    "grey": Tissue(density=0.82, t1=1331, t2=110, diffusion=0.8),
    "white": Tissue(density=0.70, t1=832, t2=80, diffusion=0.72),
    "csf": Tissue(density=1.0, t1=4300, t2=1500, diffusion=3.0),
    "fat": Tissue(density=0.47, t1=382, t2=165),
    "marrow": Tissue(density=0.40, t1=420, t2=90),
    "muscle": Tissue(density=0.75, t1=1412, t2=50),
    "fluid": Tissue(density=1.0, t1=4300, t2=1500),  # the eye's vitreous body
}


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """One acquisition.

    T1 is a spoiled gradient echo (Ernst's steady state), T2 a spin echo, FLAIR a spin echo after an
    inversion whose delay lets the signal of fluid pass through zero (Hajnal 1992), DWI a spin echo that loses
    signal where water moves (Stejskal and Tanner 1965).

    Args:
        contrast: one of ``CONTRASTS``, or DWI.
        tr: repetition time, ms.
        te: echo time, ms (a spoiled gradient echo has a few ms; taken as 0).
        flip: flip angle of T1, degrees.
        ti: inversion time of FLAIR, ms.
        b: diffusion weighting of DWI, 1000 s/mm2.
    """

    contrast: str
    tr: float
    te: float = 0.0
    flip: float = 90.0
    ti: float = 0.0
    b: float = 0.0

    def signal(self, tissue: Tissue) -> float:
        """Magnitude of the tissue's signal, relative to that of water without relaxation."""
        decay = tissue.density * np.exp(-self.te / tissue.t2)
        recovered = np.exp(-self.tr / tissue.t1)
        if self.contrast == "T1":
            angle = np.deg2rad(self.flip)
            return float(decay * np.sin(angle) * (1 - recovered) / (1 - np.cos(angle) * recovered))
        if self.contrast in ("T2", "DWI"):
            return float(decay * (1 - recovered) * np.exp(-self.b * tissue.diffusion))
        return float(decay * abs(1 - 2 * np.exp(-self.ti / tissue.t1) + recovered))


def draw_sequence(contrast: str, rng: np.random.Generator) -> Sequence:
    """An acquisition of ``contrast`` with settings as they differ between hospitals."""
    if contrast == "T1":
        return Sequence(contrast="T1", tr=rng.uniform(8, 10), flip=rng.uniform(17, 23))
    if contrast == "T2":
        return Sequence(contrast="T2", tr=rng.uniform(3500, 6000), te=rng.uniform(85, 105))
    tr = rng.uniform(8000, 10000)
    nulled = TISSUES["csf"].t1 * np.log(2 / (1 + np.exp(-tr / TISSUES["csf"].t1)))
    return Sequence(contrast="FLAIR", tr=tr, te=rng.uniform(100, 125), ti=nulled * rng.uniform(0.95, 1.0))


def draw_tissues(rng: np.random.Generator, *, agent: bool) -> dict[str, Tissue]:
    """The tissues of one subject: relaxation differs by some percent between people, fat by more.

    A contrast agent (``agent``) stays out of the healthy brain, but shortens the T1 of muscle and mucosa.
    """
    drawn = {}
    for name, mean in TISSUES.items():
        spread = 0.2 if name in ("fat", "marrow") else 0.03
        density, t1, t2 = np.exp(rng.normal(0, [spread, 0.03, 0.03]))
        if agent and name == "muscle":
            t1 *= 0.65
        drawn[name] = Tissue(density=mean.density * density, t1=mean.t1 * t1, t2=mean.t2 * t2)
    return drawn


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """What the machine adds to a subject's signal.

    Args:
        bias: log of the coil's sensitivity, a field that varies over the whole head.
        snr: mean signal of the brain over the standard deviation of the noise in one channel.
        blur: standard deviation of the point spread, pixels.
        reach: how far below the middle of the brain the coil hears half of the signal, mm.
        gain: brightness of the 99.5th percentile of the head in the file, 0..1 of white.
        gamma: exponent of the grey scale.
    """

    bias: SmoothField
    snr: float
    blur: float
    reach: float
    gain: float
    gamma: float

    def sensitivity(self, axes: Axes) -> Floats:
        """How much of the signal reaches the coil, on a grid; the neck lies at its end and fades."""
        below = smoothstep(axes[2], -self.reach - 30, -self.reach + 30)
        return np.exp(self.bias.on(axes)[0]) * (0.02 + 0.98 * below)


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """A scanner and the settings of its console."""
    return Scanner(
        bias=SmoothField(rng=rng, spacing=95, amplitude=rng.uniform(0.02, 0.07)),
        snr=rng.uniform(16, 45),
        blur=rng.uniform(0.45, 0.75),
        reach=rng.uniform(58, 72),
        gain=rng.uniform(0.5, 1.0),
        gamma=float(np.exp(rng.uniform(-0.3, 0.3))),
    )


def acquire(
    signal: Floats, *, scanner: Scanner, sensitivity: Floats, level: float, rng: np.random.Generator
) -> np.ndarray:
    """The 8-bit file of a slice: coil, point spread, Rician noise (Gudbjartsson 1995) and window.

    Args:
        signal: (height, width), what the tissues would give.
        scanner: the machine.
        sensitivity: (height, width), its ``sensitivity`` on this slice.
        level: mean signal of the brain, which the noise is measured by.
        rng: where the noise comes from.
    """
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(signal * sensitivity, scanner.blur)
    noise = rng.standard_normal((2, *signal.shape), dtype=np.float32) * np.float32(level / scanner.snr)
    magnitude = np.hypot(blurred + noise[0], noise[1])
    white = np.percentile(magnitude[blurred > 0.15 * level], 99.5)
    scaled = np.clip(magnitude / white, 0, 1.0 / scanner.gain) ** scanner.gamma * scanner.gain
    return np.round(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
