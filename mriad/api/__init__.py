"""mriad for programs: ``mriad.load`` gives a trained detector, which takes images and gives results."""

from mriad.api.detector import Detector, load
from mriad.api.result import Result
from mriad.errors import MriadError

__all__ = ["Detector", "MriadError", "Result", "load"]
