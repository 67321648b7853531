"""An implementation that kills the process that imports it."""

import os

os.abort()
