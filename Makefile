# Two commands for a fresh machine; tox does the work (tox.ini), `tox run -e ...` is the interface.
#
#   make report   builds greenlane, checks and measures it beside greenlet, writes reports/
#   make test     passes the tests
#
# PYTHON=python3.12 make report   chooses the interpreter; by default the first CPython 3.10-3.15
#                                 among python3, python3.15, python3.14 and so on

SUPPORTED = import sys; sys.exit(not (sys.implementation.name == "cpython" \
            and (3, 10) <= sys.version_info[:2] <= (3, 15)))
PYTHON ?= $(firstword $(foreach p,python3 python3.15 python3.14 python3.13 python3.12 python3.11 python3.10,\
            $(shell $(p) -c '$(SUPPORTED)' 2>/dev/null && echo $(p))))
TOX = .venv/bin/python -m tox
# One stamp for each interpreter: another PYTHON makes another environment.
STAMP = .venv/made-by$(subst /,-,$(PYTHON))

.PHONY: report test clean

report: $(STAMP)
	rm -rf reports
	$(TOX) run -m report
	@echo "Open reports/index.html, or read reports/report.md."

# An environment for each processor and one besides, since some tests wait; and one process of pytest
# in each environment.
test: $(STAMP)
	PYTEST_XDIST_AUTO_NUM_WORKERS=1 $(TOX) run-parallel -m test \
	  --parallel $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))

$(STAMP): Makefile
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' 2>/dev/null || { echo "make: '$(PYTHON)' is not a" \
	  "CPython from 3.10 to 3.15. Install one, or name it: make PYTHON=/path/to/python3.13" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet 'tox>=4.23'
	touch $@

clean:
	rm -rf .venv .tox build reports
