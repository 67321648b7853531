"""What ``greenlane.doctor()`` finds out: how greenlets work here, and what fell back to less.

All of it is read, nothing is guessed: the extension tells which guards and limits it came to use,
the system its limits, ``sys.modules`` who imported which greenlet.
"""

from __future__ import annotations

import greenlane
from greenlane import _greenlet, installation, standard

with standard.Library():
    import os
    import platform
    import resource
    import sys
    from importlib.metadata import PackageNotFoundError, version
    from pathlib import Path
    from typing import NamedTuple

    from greenlane import lanes

__all__ = ["Diagnosis", "examine"]

#: Why a thread has fewer lanes than it was to have, by what the extension says of it.
LOWERED = {
    "address space": "RLIMIT_AS or RLIMIT_DATA (`ulimit -v`, `ulimit -d`) leaves room for no more",
    "mappings": "guards of PROT_NONE take two of the process's memory mappings a lane",
    "refusal": "the system refused memory for another one",
}


class Diagnosis(NamedTuple):
    """What was found, for the calling thread. ``str()`` of it is text for people."""

    #: Version of greenlane.
    version: str
    #: File of the extension module.
    extension: str
    #: Python implementation and version.
    python: str
    #: Name and release of the operating system.
    system: str
    #: The binary interface for which stacks are switched: of the CPU and of its calls.
    abi: str
    #: What stops a greenlet at the end of its stack: MADV_GUARD_INSTALL, or PROT_NONE.
    guards: str
    #: Counts of lanes, and the limit that holds.
    lanes: lanes.Status
    #: The limit that was asked for: by GREENLANE_LANES, by lanes.set_limit(), or 4096.
    asked_limit: int
    #: Limits of the process that matter to stacks, in bytes; None is unlimited.
    address_space: int | None
    data: int | None
    #: How many memory mappings a process may have, and has; None where the system doesn't say.
    most_mappings: int | None
    mappings: int | None
    #: What `import greenlet` gives to this process: "greenlane", "other", "none" if sys.modules
    #: says that it is to fail, or None if it was not imported yet.
    greenlet: str | None
    #: The file of that module.
    greenlet_file: str | None
    #: The modules that hold it, in the order of their import.
    importers: tuple[str, ...]
    #: The version of the distribution greenlet that is installed, whether in use or not.
    greenlet_distribution: str | None
    #: What fell back to something slower or smaller, and why; each is a sentence.
    fell_back: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as lines: what, then how."""
        lines = [
            ("greenlane", f"{self.version}, {self.extension}"),
            ("python", f"{self.python}, {self.system}"),
            ("switches", f"for the ABI {self.abi}"),
            ("lanes", f"{self.lanes.limit} of a thread's greenlets may have one of their own"),
            ("", f"now {self.lanes.own} have, {self.lanes.idle} lanes are idle"),
            ("", f"now {self.lanes.sharing} greenlets share {self.lanes.shared} lanes"),
            ("guards", self.guards),
            ("limits", f"address space {_bytes(self.address_space)}, data {_bytes(self.data)}"),
            ("", f"memory mappings {_number(self.most_mappings)}, {_number(self.mappings)} in use"),
            ("greenlet", _GREENLET[self.greenlet]),
        ]
        if self.greenlet in ("greenlane", "other"):
            lines += [("", f"imported from {self.greenlet_file}")]
            lines += [("", f"held by {', '.join(self.importers) or 'no module'}")]
        lines += [("", f"installed: {self.greenlet_distribution or 'none'}")]
        lines += [("fell back", each) for each in self.fell_back or ("nothing",)]
        return "\n".join(f"{what:<10} {how}" for what, how in lines)


_GREENLET = {
    "greenlane": "greenlane is what `import greenlet` gives",
    "other": "another greenlet is what `import greenlet` gives, not greenlane",
    "none": "`import greenlet` fails in this process",
    None: "nothing has imported it in this process",
}


def examine() -> Diagnosis:
    """Look at the process, the calling thread, and who imported greenlet."""
    no_memory = None
    try:
        greenlane.greenlet(int).switch()  # so that there is a lane to look at
    except MemoryError as error:
        no_memory = str(error)
    abi, guards, lowered_by, asked = _greenlet._lane_facts()
    status = lanes.status()
    package = sys.modules.get("greenlet")
    kind = None
    if "greenlet" in sys.modules:
        kind = "greenlane" if installation.is_installed() else "other" if package else "none"
    importers = tuple(installation.holders(package)) if package else ()
    return Diagnosis(
        version=greenlane.__version__,
        extension=str(_greenlet.__file__),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()}",
        abi=abi,
        guards=guards or "none: every greenlet shares",
        lanes=status,
        asked_limit=asked,
        address_space=_limit(resource.RLIMIT_AS),
        data=_limit(resource.RLIMIT_DATA),
        most_mappings=_read_number("/proc/sys/vm/max_map_count"),
        mappings=_count_lines("/proc/self/maps"),
        greenlet=kind,
        greenlet_file=getattr(package, "__file__", None),
        importers=importers,
        greenlet_distribution=_distribution(),
        fell_back=tuple(_fallbacks(no_memory, guards, lowered_by, asked, status, kind)),
    )


def _fallbacks(
    no_memory: str | None,
    guards: str | None,
    lowered_by: str | None,
    asked: int,
    status: lanes.Status,
    kind: str | None,
) -> list[str]:
    """Return what is not as it would be at best, and why."""
    found = []
    if no_memory is not None:
        found.append(f"no greenlet can be started: {no_memory}")
    if guards == "PROT_NONE":
        found.append(
            "guards are PROT_NONE mappings: MADV_GUARD_INSTALL was refused, which Linux has from "
            "6.13 on"
        )
    if lowered_by is not None:
        found.append(
            f"{status.limit} greenlets may have a lane of their own instead of {asked}: "
            f"{LOWERED[lowered_by]}"
        )
    if status.sharing:
        found.append(
            f"{status.sharing} greenlets share lanes, past the limit of {status.limit}: switching "
            "among them copies stacks (greenlane.lanes.set_limit)"
        )
    if kind not in ("greenlane", None):
        found.append(installation.obstacle())
    # Where it is installed it has been imported by now: when Python started.
    value = os.environ.get("GREENLANE", "")
    if value not in ("", "0") and "greenlane_everywhere" not in sys.modules:
        found.append(f"GREENLANE={value} is set, but greenlane-everywhere is not installed here")
    if value not in ("", "0", "1"):
        found.append(f"GREENLANE must be 0 or 1, not {value!r}, which counts as 0")
    return found


def _distribution() -> str | None:
    """Return the version of the distribution greenlet, or None."""
    try:
        return version("greenlet")
    except PackageNotFoundError:
        return None


def _limit(which: int) -> int | None:
    """Return a soft limit of the process in bytes, None for none."""
    soft, _ = resource.getrlimit(which)
    return None if soft == resource.RLIM_INFINITY else soft


def _read_number(path: str) -> int | None:
    """Return the number in a file of the system, None if there is no such file."""
    try:
        return int(Path(path).read_text())
    except OSError:
        return None


def _count_lines(path: str) -> int | None:
    """Return how many lines a file of the system has, None if there is no such file."""
    try:
        return Path(path).read_text().count("\n")
    except OSError:
        return None


def _bytes(size: int | None) -> str:
    """Return a size in MiB."""
    return "unlimited" if size is None else f"{size / (1 << 20):.0f} MiB"


def _number(count: int | None) -> str:
    """Return a count, which may be unknown."""
    return "unknown" if count is None else str(count)
