"""How the commands end: their exit codes, and the errors that stand for them."""

from __future__ import annotations

AS_EXPECTED = 0
FAILURES = 1
BAD_COMMAND = 2
TRUNCATED = 3
UNKNOWN_NAME = 4

TEXT = """
exit codes:
  0  as expected; for diff: nothing became worse
  1  some test had not its expected outcome: FAIL, CRASH, TIMEOUT or XPASS; a clause has no
     test; something became worse (diff); entries wait for a reason (update-expectations);
     a program was played differently (fuzz)
  2  the command line was not understood, or the output cannot be written there,
     standard output included
  3  a run was cut short or interrupted; whatever passed, this is no pass
  4  a name is wrong: implementation, clause, feature, interpreter, file of expectations or results;
     or Hypothesis is missing (fuzz)
"""


class BadOutputError(Exception):
    """The output cannot be written there; the message is one line."""
