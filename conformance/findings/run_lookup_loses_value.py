"""greenlet 3.5.6: a switch to a dead greenlet loses its value if the lookup of `run` switches too.

The switch goes to the dead greenlet's parent, which is unstarted, so that its `run` is looked up.
If that lookup starts it, the switch is begun anew, as it should be, but with the arguments of the
dead greenlet, which have been moved to the parent before: nothing is sent, and an error is raised.
Where no dead greenlet is named the value arrives. Clause: tree.run-lookup.
"""

from greenlet import getcurrent, greenlet


class Parent(greenlet):
    looked_up = False

    @property
    def run(self):  # type: ignore[no-untyped-def]
        if not self.looked_up:
            self.looked_up = True
            self.switch()
        return lambda: print("the parent received", root.switch())


root = getcurrent()
dead = greenlet(lambda: None)
dead.switch()
dead.parent = Parent()
try:
    dead.switch("the value")
except Exception as error:
    print("expected the value, got", type(error).__name__)
