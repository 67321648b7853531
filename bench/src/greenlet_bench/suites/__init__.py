"""The benchmarks: one module a suite, run by pytest with the same code for any implementation."""
