"""The suite, tested: is there a mistake that it does not see?

Two implementations that keep the specification are broken on purpose, one small mistake at a time,
and the suite is held to each of these *mutants*. A test that fails, crashes or hangs kills it. A
mutant that no test kills shows a gap: a rule without a test, or a test that looks away.

- ``reference``: the specification as a Python program, in every way that its syntax tree suggests
  (``operators``);
- ``core``: greenlane's C, in the ways of a list that was written by hand (``core.toml``), since
  most of what an operator could do to C breaks memory and nothing that a clause speaks of.

A gap is closed by a test. What no test can see has its reason in ``survivors.toml``, and a reason
that no longer holds is an error.

From one to the next: ``mutation`` says what a mutation is, ``operators`` and ``listed`` find them,
``targets`` makes a module of one, ``trials`` holds the suite to it in the processes of ``served``,
``tally`` counts, ``__main__`` is the command.

Why no tool from the shelf does it. cosmic-ray and mutmut mutate a package while its own tests run.
mutmut (3.8) puts a wrapper in front of each function that chooses among its mutants: a frame more,
and one that holds the arguments, where the tests look at frames and at who keeps what alive. It
leaves out decorated functions, and so every property. cosmic-ray (8.7) changes the file in place,
which allows one trial at a time for each copy of the tree, and starts the test command anew for
each mutant, which takes longer than the trial. Neither removes statements, and a ``del`` too few is
the mistake that one makes here. Neither knows C, likely killers first, or reasons that become
stale. What would be left to them are the operators, 300 lines that need nothing else.
"""
