"""PyPy 3.9 (7.3.11), its own module greenlet: the frames of a suspended greenlet are a ring.

The `f_back` of a greenlet's outermost frame is its innermost one, so that who walks the stack, as
`traceback.walk_stack` and debuggers do, never ends. The documentation of gr_frame promises a stack
like any other. Clauses: inspect.frame.chain and those that need it.
"""

from greenlet import getcurrent, greenlet

g = greenlet(lambda: getcurrent().parent.switch())
g.switch()
frame = g.gr_frame
for _ in range(12):
    if frame:
        print(frame.f_code.co_name)  # <lambda> again and again
        frame = frame.f_back
print("expected None, got", frame)
