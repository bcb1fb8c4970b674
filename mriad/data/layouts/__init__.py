"""On-disk layouts: each function takes a folder and returns a Catalog."""

from mriad.data.layouts.atlas import atlas
from mriad.data.layouts.bids import bids
from mriad.data.layouts.br35h import br35h
from mriad.data.layouts.brats import brats
from mriad.data.layouts.folder import folder
from mriad.data.layouts.isles22 import isles22
from mriad.data.layouts.ixi import ixi
from mriad.data.layouts.lgg import lgg
from mriad.data.layouts.mslub import mslub
from mriad.data.layouts.navoneel import navoneel
from mriad.data.layouts.nickparvar import nickparvar
from mriad.data.layouts.synthetic import synthetic
from mriad.data.layouts.synthetic_volumes import synthetic_volumes
from mriad.data.layouts.volumes import volumes
from mriad.data.layouts.wmh import wmh

__all__ = [
    "atlas",
    "bids",
    "br35h",
    "brats",
    "folder",
    "isles22",
    "ixi",
    "lgg",
    "mslub",
    "navoneel",
    "nickparvar",
    "synthetic",
    "synthetic_volumes",
    "volumes",
    "wmh",
]
