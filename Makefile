# make train   install and run the default experiment      make test   run the tests
# make test-all   and those that are slow: whole commands again and again, sweeps, interrupts, servers, the docs' lines
# make test-cluster   run the tests on a SLURM of this machine; installs one where it is missing
# make bench   measure what mriad costs, against its targets
# make docs    build the docs as a site in build/site
# make ui      open the MLflow UI on this machine          make lint   ruff and mypy
# make server BACKEND=postgresql://user:password@host/db   an MLflow server that many jobs log to
.PHONY: install train test test-all test-cluster lint bench docs ui server clean
VENV   := .venv
PYTHON := $(VENV)/bin/python
PORT   ?= 5000
ARTIFACTS ?= mlartifacts
WORKERS ?= 2
TRACKING ?= $(or $(MLFLOW_TRACKING_URI),sqlite:///mlflow.db)

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

train: install
	$(PYTHON) train.py

# A file stays on one worker, which makes what its tests share once; in the order of their names, the long ones of
# tests/commands come early and the short ones fill up what is left.
PYTEST := $(PYTHON) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: install
	$(PYTEST) -m 'not slow'
	@echo 'Left to make test-all: sweeps, interrupts, servers, ensembles, several devices, the wheel, real scans,'
	@echo 'and each line of README and docs, typed.'

test-all: test
	$(PYTEST) -m 'slow and not cluster'

test-cluster: install
	MRIAD_TEST_CLUSTER=1 $(PYTHON) -m pytest -rs tests/cluster

lint: install
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

bench: install
	$(PYTHON) -m benchmarks $(ROWS) $(RECORD)

docs: install
	$(PYTHON) -m docs.generator build/docs
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict --quiet
	@echo 'Open build/site/index.html'

ui: install
	$(PYTHON) -m mriad.tracking.ui --tracking-uri '$(TRACKING)' --port $(PORT)

server: install
	@test -n '$(BACKEND)' || { echo 'Say where the runs go: make server BACKEND=postgresql://user:password@host/db'; exit 1; }
	@MLFLOW_BACKEND_STORE_URI='$(BACKEND)' MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true \
	$(VENV)/bin/mlflow server --serve-artifacts --artifacts-destination '$(ARTIFACTS)' \
	--host 127.0.0.1 --port $(PORT) $(SERVER_OPTIONS)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
