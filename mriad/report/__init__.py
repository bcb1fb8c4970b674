"""What a test found out, as numbers, figures and tables."""

from mriad.report.record import record_result, record_training
from mriad.report.result import Result
from mriad.report.terminal import print_result

__all__ = ["Result", "print_result", "record_result", "record_training"]
