# `make benchmark` and `make test` set up everything in this folder; they need only Python >= 3.11.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
# Pass more to Snakemake:  make benchmark ARGS="--configfile my.yaml"
ARGS ?=
CORES ?= all
# Processes of the tests: one more than cores, as some tests wait, for SLURM or for a server; at most 4.
WORKERS ?= $(shell $(PYTHON) -c "import os; print(min(4, 1 + os.cpu_count()))")
PICTURES := scores_by_run calibration label_confusion training_curves

.PHONY: benchmark reference docs tutorial provenance restamp figure peers bench test test-quick test-all oldest newest lock schema size lint format setup clean

# Where it is set, as in many images, each job or test would compile all that it imports.
export PYTHONDONTWRITEBYTECODE =

benchmark: $(READY)
	$(BIN)/snakemake --cores $(CORES) $(ARGS)

# The reference results of config/reference.yaml, in pieces; continues where it was interrupted. `make reference ARGS=--plan` prints
# them with their hours.
reference: $(PEERS)
	$(BIN)/python benchmarks/reference.py --cores $(CORES) $(ARGS)

# The figures of docs/report.md, the example report and the picture of its first screen (with Chromium) from the default benchmark;
# README's figure and its sentence from the reference results, figures of other studies from their tables in docs/results.
figure: benchmark
	$(BIN)/python docs/site/forest.py
	$(BIN)/python docs/site/example.py results
	$(BIN)/python docs/site/size.py
	cd results/figures && cp $(addprefix covid_citeseq_small/paired/,$(PICTURES:=.png)) ../../docs/pictures

# The documentation site, into site/, without a network; every warning, such as a broken link, is an error.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)

# The outputs of docs/own_cells.ipynb, from a run of it.
tutorial: $(READY)
	$(BIN)/python docs/site/tutorial.py

# Mark on each results page which code made its numbers, and whether that is the present code.
provenance: $(READY)
	$(BIN)/python docs/site/provenance.py $(ARGS)

# Keep pages current after a change that leaves all scores equal: `make restamp ARGS="OLD_RESULTS NEW_RESULTS"` compares the scores
# of a benchmark before and after it.
restamp: $(READY)
	$(BIN)/python docs/site/provenance.py restamp $(ARGS)

# Packages of wrapped methods; this project's own methods do not need them.
peers: $(PEERS)
	$(BIN)/snakemake --cores 1 environments

# Changes nothing outside this folder. Tests that need a missing Debian package are skipped with a message. The plugin that `make bench`
# installs is disabled: it would claim fixtures named `benchmark`.
test: $(PEERS)
	$(BIN)/python -m pytest -p no:benchmark -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# What an edit of a method or a metric should leave true, on tiny data, in under a minute.
test-quick: $(READY)
	$(BIN)/python -m pytest -p no:benchmark -n logical --maxprocesses 2 --dist loadfile -q tests/specification $(ARGS)

# As root on Debian: also installs SLURM, and tests the benchmark on it.
test-all: export MOSAICBENCH_INSTALL_SLURM = 1
test-all: test

# The tests with the lower bounds of pyproject.toml (PYTHON=python3.11) and with today's newest versions (PYTHON=python3.13), each in
# its own environment.
oldest: CHOSEN = --constraint envs/oldest.txt --editable ".[dev,docs,peers]"
newest: CHOSEN = --upgrade --editable ".[dev,docs,slurm,peers]"
newest: ARGS += --deselect tests/peers/test_peers.py::test_the_installed_version_is_the_pinned_one
oldest newest:
	$(PYTHON) -m venv .venvs/$@
	.venvs/$@/bin/python -m pip install --quiet $(CHOSEN)
	.venvs/$@/bin/python -m pytest -p no:benchmark -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# Rewrite envs/constraints.txt and the conda form from pyproject.toml and envs/held.txt.
lock: $(READY)
	$(BIN)/python -m pip install --quiet "uv>=0.9" packaging
	$(BIN)/python envs/lock.py
	$(BIN)/python envs/conda_form.py

# The JSON schema of configs, for editors, from the models in src/mosaicbench/config/schema.py.
schema: $(READY)
	$(BIN)/python -m mosaicbench.config.schema

# Speed compared with wrapped packages: some minutes on an idle machine. Results go to docs/benchmarks.
bench: $(PEERS)
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable ".[dev,docs,slurm,peers,bench]"
	@mkdir -p results
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest benchmarks -o python_files="bench_*.py" \
	  -o python_functions="bench_*" -p no:xdist --benchmark-json=results/bench.json --benchmark-columns=min,rounds $(ARGS)
	$(BIN)/python benchmarks/summary.py results/bench.json

# Tokens of code, words of docstrings, folders of the package; tests/docs/test_code_size.py limits them.
size: $(READY)
	$(BIN)/python tests/code_size.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

setup: $(READY)

$(READY): EXTRAS = dev,docs,slurm
$(PEERS): EXTRAS = dev,docs,slurm,peers
# Python compiles a module when it is first imported; compiling all of them here would take two minutes.
$(READY) $(PEERS): pyproject.toml envs/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'mosaicbench needs Python >= 3.11; name one:  make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo 'this Python cannot make environments; on Debian and Ubuntu:  apt-get install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint envs/constraints.txt --editable ".[$(EXTRAS)]"
	$(BIN)/python -c "from mosaicbench.metrics._nearest import compile_loops; compile_loops()"
	$(BIN)/python -m mosaicbench.commands._umap
	@touch $(READY) $@

clean:
	rm -rf $(VENV) .venvs .snakemake results logs
