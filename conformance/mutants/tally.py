"""What the verdicts come to: the kill rate, and what is wrong."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from mutants.survivors import Survivor, entry_for
from mutants.trials import Verdict

#: The least kill rate of a full run, in percent.
GOAL = 98.0


@dataclasses.dataclass
class Tally:
    """The verdicts on one target."""

    survivors: Sequence[Survivor]
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    unexplained: list[Verdict] = dataclasses.field(default_factory=list)
    stale: list[Verdict] = dataclasses.field(default_factory=list)

    def add(self, verdict: Verdict) -> str:
        """Counts a verdict; answers what it was counted as."""
        entry = entry_for(self.survivors, verdict.mutation)
        if verdict.killer is not None:
            if entry is not None and not entry.sometimes:
                self.stale.append(verdict)
            kind = "killed"
        elif entry is not None:
            kind = entry.kind
        else:
            self.unexplained.append(verdict)
            kind = "survived"
        self.counts[kind] += 1
        return kind

    @property
    def rate(self) -> float:
        """Percent killed of those that a program could see and the specification forbids."""
        counted = sum(self.counts[k] for k in ("killed", "survived", "missed"))
        return 100.0 * self.counts["killed"] / counted if counted else 100.0

    @property
    def as_expected(self) -> bool:
        """Whether every survivor has a reason that holds, and there are few enough."""
        return not self.unexplained and not self.stale and self.rate >= GOAL

    def __str__(self) -> str:
        kinds = ("killed", "survived", "missed", "equivalent", "unspecified")
        counts = ", ".join(f"{self.counts[k]} {k}" for k in kinds if self.counts[k])
        return f"{counts or 'no mutants'}; kill rate {self.rate:.1f} %"
