"""On-disk layouts: each function takes a folder and returns a Catalog."""

from mriad.data.layouts.br35h import br35h
from mriad.data.layouts.folder import folder
from mriad.data.layouts.navoneel import navoneel
from mriad.data.layouts.nickparvar import nickparvar
from mriad.data.layouts.synthetic import synthetic

__all__ = ["br35h", "folder", "navoneel", "nickparvar", "synthetic"]
