"""An implementation whose import fails with a message of two lines."""

raise RuntimeError("first line\nsecond line")
