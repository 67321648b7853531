"""Random programs, run by two implementations: where they differ, one of them is wrong.

- ``grammar.py``  which programs there are: scripts, built by Hypothesis;
- ``head.py``     the functions that all these scripts begin with;
- ``players.py``  plays a script by an implementation, and reads its events;
- ``player.py``   the process that does it: it imports the implementation and forks for each;
- ``search.py``   has programs made and played by both, and shrunk where they differ;
- ``game.py``     a script of another kind: one long game, by a seed;
- ``games.py``    has it played by both, and looks for the first event that differs;
- ``command.py``  ``greenlet-conformance fuzz``.

The two never share a process: each would rewrite what the other keeps in the thread state. A
crash or a hang is an outcome like others, and differs from what the other one does.
"""
