# make quickstart   distil a small dataset, train on it, compare: work_dirs/quickstart/
# make test         lint, then all tests; half an hour. CI runs `make test docs`
# make test-fast    the tests that take no more than a few seconds each; a minute
# make faults       kills, full disks, altered and hostile files, many more than in the tests; FAULTS=200, an hour
# make docs         the documentation as a site, without a warning: build/docs/index.html
# make coverage     the share of lines that the tests run; TESTS='-m fast' for some of the tests
# make lint         ruff, mypy, and no function above cyclomatic complexity 15
# make setup        only create .venv (all commands above create it if it does not exist)
# make clean        remove .venv and built files; results in work_dirs/ are kept
# Another interpreter: make PYTHON=/path/to/python3.11 setup

PYTHON ?=
FAULTS ?= 200
TESTS ?=
export PYTHON

# glibc gives the memory of large tensors back to the kernel and asks for it again at each operation, which takes up to a
# third of a training on a CPU. This keeps it; other C libraries do not read these.
export MALLOC_MMAP_MAX_ ?= 0
export MALLOC_TRIM_THRESHOLD_ ?= 68719476736
export MALLOC_TOP_PAD_ ?= 268435456

# The set-up is repeated when what it installs has changed, or the repository has moved (an editable install and a
# venv hold absolute paths).
inputs := $(wildcard requirements/*) setup.py pyproject.toml mmdistill/version.py
stamp := .venv/.ready-$(shell (pwd; cat $(inputs)) | cksum | tr ' ' '-')

# What only some developers need is installed when they ask for it.
pip := .venv/bin/python -m pip install -q --disable-pip-version-check -c requirements/tested.txt

.PHONY: quickstart test test-engine test-rest test-fast faults docs coverage lint setup clean
.DEFAULT_GOAL := quickstart

quickstart: $(stamp)
	@echo 'Output: work_dirs/quickstart/ (report.html, results.json, distilled/)'
	@.venv/bin/python tools/quickstart.py

# In two processes, since most tests use one core. The first is shown when it ends.
test: lint
	@mkdir -p work_dirs
	@echo 'Reports: work_dirs/tests-engine.xml, work_dirs/tests-rest.xml'
	@$(MAKE) --no-print-directory -j2 test-engine test-rest

pytest := .venv/bin/python -m pytest -ra --durations=20
test-engine:
	@$(pytest) --junit-xml=work_dirs/tests-engine.xml tests/engine > work_dirs/tests-engine.log 2>&1; \
	status=$$?; cat work_dirs/tests-engine.log; exit $$status
test-rest:
	@$(pytest) --junit-xml=work_dirs/tests-rest.xml --ignore=tests/engine

test-fast: $(stamp)
	@.venv/bin/python -m pytest -q -m fast --durations=5 --disable-warnings

faults: $(stamp)
	@mkdir -p work_dirs
	@echo 'Report: work_dirs/faults.xml'
	@.venv/bin/python -m pytest -ra tests/faults --faults $(FAULTS) --junit-xml=work_dirs/faults.xml

docs: $(stamp)
	@$(pip) -r requirements/docs.txt
	@.venv/bin/python -m sphinx -q -W --keep-going -j auto -d build/docs.cache docs build/docs
	@echo 'Site: build/docs/index.html'

coverage: $(stamp)
	@$(pip) -r requirements/dev.txt
	@mkdir -p work_dirs/coverage
	@.venv/bin/python -m pytest -q --disable-warnings $(TESTS) --cov --cov-report=term --cov-report=html:work_dirs/coverage/html
	@echo 'Lines: work_dirs/coverage/html/index.html'

lint: $(stamp)
	@echo 'Lint: ruff, mypy, complexity'
	@.venv/bin/ruff check setup.py docs mmdistill tools tests benchmarks
	@.venv/bin/mypy
	@.venv/bin/python -m pytest -q tests/test_package.py -k complex

setup: $(stamp)

$(stamp):
	@requirements/setup_env.sh $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find mmdistill tools tests -name __pycache__ -type d -prune -exec rm -rf {} +
