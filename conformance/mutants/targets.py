"""What is mutated: how a mutant of it becomes a module that can be imported."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Protocol

from mutants import listed, operators
from mutants.mutation import Mutation

CONFORMANCE = Path(__file__).resolve().parent.parent


class BuildError(Exception):
    """A target, or a mutant of it, cannot be built; the message says why."""


class Target(Protocol):
    """An implementation that can be broken."""

    name: str
    module: str  # which the suite imports
    expectations: Path
    environments: tuple[dict[str, str], ...]  # the suite is held to it in each of them

    def mutations(self) -> list[Mutation]:
        """All of them, in the order of the sources."""

    def make(self, folder: Path, mutation: Mutation | None) -> None:
        """Puts the module into a folder, mutated or sound. Raises BuildError."""


class Reference:
    """A module in Python, a single file, broken in every way that ``operators`` knows."""

    name = "reference"
    module = "mutated_reference"
    environments: tuple[dict[str, str], ...] = ({},)

    def __init__(self, file: Path, expectations: Path) -> None:
        self.file = file
        self.expectations = expectations

    def mutations(self) -> list[Mutation]:
        """Those of the one file."""
        return operators.mutations(self.name, self.file.name, self.file.read_text(encoding="utf-8"))

    def make(self, folder: Path, mutation: Mutation | None) -> None:
        """A copy of the file under the module's name."""
        text = mutation.mutated if mutation else self.file.read_text(encoding="utf-8")
        (folder / f"{self.module}.py").write_text(text, encoding="utf-8")


class Core:
    """The extension in C, broken in the ways that a list names.

    The suite is held to it twice: with a stack for each greenlet, and with one for all of them.
    """

    name = "core"
    module = "greenlane"
    environments: tuple[dict[str, str], ...] = ({}, {"GREENLANE_LANES": "1"})
    _flags = "-O1 -DNDEBUG -std=gnu11 -fPIC -fvisibility=hidden -w -D_GNU_SOURCE"

    def __init__(self, root: Path, mutations: Path, expectations: Path, scratch: Path) -> None:
        self.root = root
        self.list = mutations
        self.expectations = expectations
        self.objects = scratch
        self.compiler = shlex.split(str(sysconfig.get_config_var("CC") or "cc"))[0]

    def mutations(self) -> list[Mutation]:
        """Those of the list."""
        return listed.read(self.list, self.name, self.root / "src")

    def make(self, folder: Path, mutation: Mutation | None) -> None:
        """The package with an extension that is compiled here."""
        package = folder / self.module
        shutil.copytree(self.root / "python" / "greenlane", package, dirs_exist_ok=True)
        if mutation is None:
            objects = [self._compiled(self.root / "src", file, self.objects) for file in self._c()]
        else:
            source = folder / "src"
            shutil.copytree(self.root / "src", source)
            mutation.written_below(source)
            # Who includes a header is not looked up: then all are compiled again.
            stale = [Path(mutation.file)] if mutation.file.endswith(".c") else self._c()
            objects = [
                self._compiled(source, file, folder)
                if file in stale
                else self._object(self.objects, file)
                for file in self._c()
            ]
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        self._run("-shared", *map(str, objects), "-o", str(package / f"_greenlet{suffix}"))

    def _c(self) -> list[Path]:
        source = self.root / "src"
        found = [*source.rglob("*.c"), source / "context" / "switch.S"]
        return sorted(path.relative_to(source) for path in found)

    @staticmethod
    def _object(folder: Path, file: Path) -> Path:
        return folder / f"{file.stem}.o"

    def _compiled(self, source: Path, file: Path, folder: Path) -> Path:
        to = self._object(folder, file)
        include = [f"-I{source}", f"-I{self.root / 'include'}"]
        python = ["-isystem", sysconfig.get_path("include")]
        flags = [*self._flags.split(), *include, *python]
        self._run(*flags, "-c", str(source / file), "-o", str(to))
        return to

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [self.compiler, *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BuildError(f"{self.compiler} failed:\n{done.stderr.strip()}")


def all_targets(scratch: Path) -> list[Target]:
    """The reference, and the core where its sources are at hand."""
    source = CONFORMANCE / "src" / "greenlet_conformance"
    expected = source / "expectations"
    here = Path(__file__).resolve().parent
    reference = Reference(source / "reference.py", expected / "greenlet_conformance-reference.toml")
    core = Core(
        CONFORMANCE.parent / "impl", here / "core.toml", expected / "greenlane.toml", scratch
    )
    return [reference, core]
