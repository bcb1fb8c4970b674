"""stub"""


def synthetic_volumes(**kw): ...
