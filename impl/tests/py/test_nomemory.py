"""Every request for memory is refused in turn: see nomemory.py."""

from __future__ import annotations

import re
from pathlib import Path

import nomemory
import pytest
from support import compile_extension, run_script

EXTENSION = Path(__file__).parent / "extensions" / "faults_probe.c"


@pytest.fixture(scope="session")
def faults_probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build extensions/faults_probe.c."""
    directory = tmp_path_factory.mktemp("faults_probe")
    return compile_extension(EXTENSION, directory, EXTENSION.parent)


@pytest.mark.parametrize("all_after", [False, True], ids=["one", "all"])
@pytest.mark.parametrize("limit", [4096, 0])
@pytest.mark.parametrize("name", sorted(nomemory.operations))
def test_refused(
    name: str, limit: int, all_after: bool, faults_probe: Path, capi_probe: str
) -> None:
    done = run_script(
        f"""
        import sys
        sys.path += {[str(faults_probe.parent), capi_probe]!r}
        import nomemory
        nomemory.run({name!r}, {limit}, all_after={all_after})
        """,
        environment={"LD_PRELOAD": str(faults_probe)},
    )
    assert done.stderr == ""
    assert re.search(r"refused \d+\n$", done.stdout)
