"""The built-in data set: healthy and diseased brains bent from the MNI152 template, with exact masks."""

from mriad.data.synthetic.dataset import make_synthetic

__all__ = ["make_synthetic"]
