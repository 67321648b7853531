"""greenlane in the place of greenlet: ``import greenlet`` finds the package in ``stand_in``.

Three ways lead there, and all of them put the directory ``stand_in`` on the module search path, in
front of what is installed; nothing on disk changes, and without them all is as before:

- ``python -m greenlane app.py`` starts the program with it in PYTHONPATH (``command.py``),
- `install()` inserts it into ``sys.path`` of a running program, and into PYTHONPATH,
- the distribution ``greenlane-everywhere`` does so in each Python that starts with GREENLANE=1.

PYTHONPATH is how child processes get it, and ``multiprocessing`` hands on ``sys.path``, too. The
program's own directory is in front of PYTHONPATH, and greenlet may lie there: so ``stand_in`` also
holds a finder, which is asked before the search path, and a ``sitecustomize`` that puts it there.
"""

from __future__ import annotations

import os
import sys

from greenlane import _greenlet

TYPE_CHECKING = False  # that of typing: each program imports this, and typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from types import ModuleType

#: The directory that holds a package ``greenlet``. (pathlib would be slow to import.)
STAND_IN = os.path.abspath(__file__).removesuffix("installation.py") + "stand_in"  # noqa: PTH100


def install(*, children: bool = True) -> None:
    """Answer ``import greenlet`` with greenlane from now on, in this process.

    Call it before anything imports greenlet. With ``children``, Python processes that are started
    later do the same: PYTHONPATH in ``os.environ`` names the stand-in for greenlet. A second call
    does no harm.

    Raises RuntimeError if another greenlet has been imported already, naming the modules that hold
    it, or if a module of the program is in the way, which is not imported then. Then nothing has
    changed.
    """
    if "greenlet" not in sys.modules:
        from importlib.util import find_spec

        path, finders = list(sys.path), list(sys.meta_path)
        if STAND_IN not in sys.path:
            # Where PYTHONPATH stands: behind the directory of the program, if there is one.
            sys.path.insert(0 if getattr(sys.flags, "safe_path", False) else 1, STAND_IN)
        __import__("greenlane_finder").install()
        where = getattr(find_spec("greenlet"), "origin", None)
        if where is None or not where.startswith(STAND_IN):
            sys.path[:], sys.meta_path[:] = path, finders
            raise RuntimeError(in_the_way(where))
        __import__("greenlet")
    if not is_installed():
        raise RuntimeError(obstacle())
    if children:
        add_to_environment(os.environ)


def is_installed() -> bool:
    """Return whether the module ``greenlet`` that this process has imported is greenlane."""
    imported = sys.modules.get("greenlet")
    return getattr(imported, "greenlet", None) is _greenlet.greenlet


def add_to_environment(environment: MutableMapping[str, str]) -> None:
    """Make PYTHONPATH begin with the stand-in, so that Pythons started with it find that first."""
    found = environment.get("PYTHONPATH", "")
    # An empty entry between others is the current directory.
    rest = found.split(os.pathsep) if found else []
    if STAND_IN not in rest:
        environment["PYTHONPATH"] = os.pathsep.join([STAND_IN, *rest])


def begin_recording() -> None:
    """Record this process if `python -m greenlane trace` has started it."""
    if "GREENLANE_TRACE" in os.environ:
        from greenlane import recording  # what it needs is slow to import

        recording.begin()


def holders(package: ModuleType) -> Iterator[str]:
    """Name the modules whose variables hold a greenlet package, what is in it, or a subclass.

    They are in the order of their import. The package's own modules are left out.
    """
    extension = getattr(package, "_greenlet", package)
    base = getattr(package, "greenlet", None)
    parts = [package, extension, base]
    parts += [getattr(package, name, None) for name in ("getcurrent", "error", "GreenletExit")]
    identities = {id(part) for part in parts if part is not None}
    own = {package.__name__, "greenlet", "greenlane"}
    for name, module in list(sys.modules.items()):
        # Lazy modules must not be made to load.
        variables = vars(module) if isinstance(module, type(sys)) else {}
        # Keys may be anything. Nor are values asked what they are, which a proxy would not like.
        if str(name).partition(".")[0] not in own and any(
            id(value) in identities or (issubclass(type(value), type) and base in type.mro(value))
            for value in list(variables.values())
        ):
            yield str(name)


def in_the_way(where: str | None) -> str:
    """Return the message for a file that is found before the stand-in, and is no greenlet."""
    return f"`import greenlet` finds {where}, which hides every other greenlet: rename that file"


def obstacle() -> str:
    """Return why the module greenlet that has been imported is not greenlane."""
    package = sys.modules["greenlet"]
    if package is None:
        return "sys.modules says that `import greenlet` is to fail: it maps greenlet to None"
    where = getattr(package, "__file__", None)
    if not hasattr(package, "greenlet"):
        return in_the_way(where)
    version = getattr(package, "__version__", "of unknown version")
    names = list(holders(package)) or ["a module that keeps no reference to it"]
    who = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (
        f"greenlet {version} ({where}) has been imported already, by {who}: call "
        "greenlane.install() before that import, or run `python -m greenlane` with the program"
    )
