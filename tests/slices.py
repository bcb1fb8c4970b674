"""Slices as detectors scan them, for tests that do not care how large a pixel is."""

import torch


def of_unknown_size(image):
    """What ``Detector.scan`` takes, of images (B, 1, H, W) whose pixels have no known area."""
    return {"image": image, "pixel_area": torch.full((len(image),), torch.nan)}
