"""What Python runs when it starts with the stand-in for greenlet in PYTHONPATH.

It hides the module of this name that the environment may have, which is run behind it: if there is
none, this raises what its absence would. Pythons of any version may come here (2.7, too), as the
children of a program.
"""

import importlib
import os
import sys

if __name__ == "sitecustomize":
    _here = os.path.dirname(__file__)  # noqa: PTH120 - pathlib is slow to import
    if sys.version_info >= (3, 10):  # noqa: UP036
        __import__("greenlane_finder").install()  # which lies here

    _index = sys.path.index(_here)
    del sys.path[_index]
    _self = sys.modules.pop(__name__)  # kept: 2.7 would clear its variables
    try:
        # The import system hands out what is in sys.modules when this module has been executed.
        importlib.import_module(__name__)
    finally:
        sys.path.insert(_index, _here)
