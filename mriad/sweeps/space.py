"""The search space of a sweep: Hydra's words for ranges, and Optuna's distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from mriad.errors import MriadError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_HOW = "write choice(a,b), range(start,stop), interval(low,high) or tag(log,interval(low,high))"


def space_of(
    ranges: Mapping[str, str], options: Sequence[Override]
) -> tuple[dict[str, BaseDistribution], dict[str, str]]:
    """Divide what a search varies from what it leaves alone.

    Args:
        ranges: option name to range, as a ``conf/sweep`` file gives them.
        options: those of the command line, which go before: a range replaces one, a value removes it.

    Returns:
        Distributions of the options that vary; values of those that do not.

    Raises:
        MriadError: if nothing varies, or a range cannot be understood.
    """
    parser = OverridesParser.create()
    varied = {name: parser.parse_override(f"{name}={words}") for name, words in ranges.items()}
    fixed: dict[str, str] = {}
    for option in options:
        name = option.get_key_element()
        if name.startswith("sweep.") or name == "resume_sweep":
            continue
        varied.pop(name, None)
        if option.is_sweep_override():
            varied[name] = option
        else:
            fixed[name] = option.get_value_element_as_str()
    if not varied:
        raise MriadError(f"This search varies nothing; give options ranges: {_HOW}.")
    if "seed" in varied:
        raise MriadError("A search does not choose the seed; set sweep.seeds=<n> to average over n of them.")
    return {name: _distribution(name, option) for name, option in varied.items()}, fixed


def as_text(value: Any) -> str:
    """A value of a trial as it is typed."""
    return value if isinstance(value, str) else repr(value)


def _distribution(name: str, option: Override) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    words = option.value()
    log = "log" in getattr(words, "tags", ())
    try:
        if isinstance(words, IntervalSweep):
            low, high = words.start, words.end
            assert low is not None and high is not None
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log)
            return FloatDistribution(float(low), float(high), log=log)
        if isinstance(words, RangeSweep) and all(isinstance(n, int) for n in (words.start, words.stop, words.step)):
            whole = range(int(words.start or 0), int(words.stop or 0), int(words.step))
            return IntDistribution(whole[0], whole[-1], step=whole.step, log=log)
        if option.is_discrete_sweep():
            return CategoricalDistribution(list(option.sweep_string_iterator()))
    except (ValueError, IndexError) as error:
        raise MriadError(f"{option.input_line} is no range ({error}); {_HOW}.") from error
    raise MriadError(f"{name}={option.get_value_element_as_str()} is no range; {_HOW}.")
