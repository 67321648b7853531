"""``python -m mutants``, started in the folder ``conformance``: tests the suite by mutants."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from greenlet_conformance.exits import AS_EXPECTED, FAILURES, TRUNCATED, UNKNOWN_NAME
from mutants import listed, survivors, targets, trials
from mutants.mutation import Mutation
from mutants.tally import GOAL, Tally
from mutants.toml import TOMLDecodeError

SURVIVORS = Path(__file__).resolve().parent / "survivors.toml"

#: The keys of a verdict that say which mutant it is about.
_IDENTITY = ("target", "where", "what", "line", "old", "new")

_EPILOG = f"""
examples:
  python -m mutants                                  all of them
  python -m mutants --sample 40 --seed 7             a quick look
  python -m mutants --target core --only 'dead-*'    some of the list
  python -m mutants --list --target reference        what there is, without a trial
  python -m mutants --output FILE --resume           goes on with a run that was cut short

exit codes:
  0  every mutant was killed, or has a reason to survive; of all of them {GOAL:g} % were killed
  1  a mutant survived without a reason, a reason is stale, or fewer were killed
  2  the command line was not understood
  3  interrupted
  4  a list does not fit the sources, or nothing can be built or run here
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; answers its exit code (see ``--help``)."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.resume and options.output is None:
        parser.error("--resume: needs --output")
    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
            return _run(options, Path(scratch))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return TRUNCATED
    except BrokenPipeError:
        # Whoever reads has had enough; the rest goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return AS_EXPECTED if options.list else TRUNCATED
    except (
        listed.ListError,
        survivors.SurvivorsError,
        targets.BuildError,
        trials.TrialError,
        TOMLDecodeError,
        OSError,
    ) as error:
        for line in str(error).splitlines():
            print(f"mutants: error: {line}", file=sys.stderr)
        return UNKNOWN_NAME


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mutants",
        description="Breaks implementations on purpose, and tells which mistakes the suite misses.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--target",
        action="append",
        choices=["reference", "core"],
        help="only this implementation (default: all)",
    )
    parser.add_argument(
        "--only",
        metavar="GLOB",
        help="only mutants of functions, or with names in the list, that match",
    )
    parser.add_argument(
        "--clause",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only by the tests of these clauses, a glob; repeatable (default: all)",
    )
    parser.add_argument(
        "--sample", type=_positive, metavar="N", help="only N of those without a reason, by chance"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="which N (default: by chance)")
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="so many mutants at a time (default: %(default)s, one for each processor)",
    )
    parser.add_argument("--list", action="store_true", help="list the mutants, try none")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the verdicts to FILE as JSON lines"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="take over the verdicts that --output has, but try those again that survived without"
        " a reason",
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _run(options: argparse.Namespace, scratch: Path) -> int:
    chosen = [t for t in targets.all_targets(scratch) if t.name in (options.target or [t.name])]
    everything = {t.name: t.mutations() for t in chosen}
    mutations = [m for each in everything.values() for m in each]
    known = survivors.read(SURVIVORS, mutations, list(everything))
    selected = _selected(options, [m for m in mutations if m.here], known)
    if options.list:
        for mutation in selected:
            print(f"{mutation.file}:{mutation.line}: {mutation.where}: {mutation.what}")
            print(f"    {mutation.before}\n    {mutation.after}")
        return AS_EXPECTED
    # What has no reason yet is news, and comes first.
    selected.sort(key=lambda m: survivors.entry_for(known, m) is not None)
    code = AS_EXPECTED
    earlier = _earlier(options.output, selected) if options.resume else []
    output = options.output.open("w", encoding="utf-8") if options.output else None
    for target in chosen:
        mutations = [m for m in selected if m.target == target.name]
        if mutations:
            folder = scratch / target.name
            folder.mkdir()
            done = [v for v in earlier if v.mutation.target == target.name]
            tally = _judge(target, mutations, done, known, options, folder, output)
            print(f"{target.name}: {tally}", flush=True)
            code = code if tally.as_expected else FAILURES
    if output:
        output.close()
    return code


def _selected(
    options: argparse.Namespace,
    mutations: list[Mutation],
    known: Sequence[survivors.Survivor],
) -> list[Mutation]:
    if options.only is not None:
        mutations = [m for m in mutations if fnmatch.fnmatchcase(m.where, options.only)]
        if not mutations:
            raise listed.ListError(f"--only {options.only}: no mutant is called like this")
    if options.sample is not None:
        seed = random.randrange(1 << 16) if options.seed is None else options.seed
        mutations = [m for m in mutations if survivors.entry_for(known, m) is None]
        print(f"a sample of {options.sample} from {len(mutations)}: --seed {seed}", flush=True)
        drawn = random.Random(seed).sample(
            range(len(mutations)), min(options.sample, len(mutations))
        )
        mutations = [mutations[i] for i in sorted(drawn)]
    return mutations


def _earlier(path: Path, mutations: Sequence[Mutation]) -> list[trials.Verdict]:
    """The verdicts of a file on those of these mutations that look as they did then."""
    if not path.exists():
        return []
    records = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # the last line may be half a line
            record = json.loads(line)
            if record["kind"] != "survived":
                records[tuple(record[key] for key in _IDENTITY)] = record
    found = []
    for mutation in mutations:
        record = records.get(tuple(_described(mutation).values()))
        if record is not None:
            killer = trials.Case(record["killer"], ()) if record["killer"] else None
            found.append(trials.Verdict(mutation, killer, record["outcome"], ""))
    return found


def _described(mutation: Mutation) -> dict[str, str | int]:
    values = (
        *(mutation.target, mutation.where, mutation.what, mutation.line),
        *(mutation.before, mutation.after),
    )
    return dict(zip(_IDENTITY, values))


def _judge(
    target: targets.Target,
    mutations: Sequence[Mutation],
    earlier: Sequence[trials.Verdict],
    known: Sequence[survivors.Survivor],
    options: argparse.Namespace,
    folder: Path,
    output: IO[str] | None,
) -> Tally:
    tally = Tally(known)
    began = time.monotonic()
    print(f"{target.name}: {len(mutations)} mutants; first the suite on the sound one", flush=True)
    done = {verdict.mutation for verdict in earlier}
    rest = [m for m in mutations if m not in done]
    new = trials.run(target, rest, options.jobs, folder, options.clause) if rest else ()
    for number, verdict in enumerate(itertools.chain(earlier, new), 1):
        before = len(tally.stale)
        kind = tally.add(verdict)
        if kind == "survived":
            print(f"SURVIVED, and has no reason in {SURVIVORS.name}:\n{verdict.mutation.diff()}\n")
        if len(tally.stale) > before:
            print(
                f"STALE: {SURVIVORS.name} says that it survives, but {verdict.killer} kills it"
                f" ({verdict.outcome}):\n{verdict.mutation.diff()}\n"
            )
        if output:
            record = {
                **_described(verdict.mutation),
                "kind": kind,
                "killer": str(verdict.killer or ""),
                "outcome": verdict.outcome,
            }
            print(json.dumps(record), file=output, flush=True)
        if number % 25 == 0 or number == len(mutations):
            minutes = (time.monotonic() - began) / 60
            print(
                f"{target.name}: {number}/{len(mutations)}, {minutes:.1f} min: {tally}", flush=True
            )
    return tally


if __name__ == "__main__":
    sys.exit(main())
