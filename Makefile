# Everything that a fresh machine needs: `make demo`, `make test`, `make lint`. Each makes its own .venv where there is none.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch
RUN = $(VENV)/bin/python -m
KERAS_TESTS = $(addprefix tests/training/test_, optimizers.py heads.py losses.py multi_task.py weighting.py masked.py own_parts.py)

.PHONY: demo test attack test-backends lint docs clean

demo: $(VENV)/.train
	$(VENV)/bin/polyhead demo --out demo --force

test: $(VENV)/.ready
	$(RUN) pytest -n auto --maxprocesses 4 --dist worksteal

# All hostile inputs of tests/attack, in half an hour. `make attack ATTACK=images` runs one campaign.
attack: $(VENV)/.ready
	PYTHONPATH=tests $(RUN) attack $(ATTACK)

# The whole way on Keras's other backends as well; JAX and PyTorch are large, so they have an environment of their own.
test-backends: .venv-backends/.ready
	.venv-backends/bin/python -m pytest tests/training/test_backends.py tests/training/test_several_processes.py
	KERAS_BACKEND=jax .venv-backends/bin/python -m pytest $(KERAS_TESTS)
	KERAS_BACKEND=torch .venv-backends/bin/python -m pytest $(KERAS_TESTS)

lint: $(VENV)/.ready
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) pyright --pythonpath $(VENV)/bin/python

# The documentation, in site/: first the pages that are made from the code and kept with it, then the site.
docs: $(VENV)/.ready
	$(RUN) polyhead.recipe.reference docs
	$(RUN) mkdocs build

$(VENV)/.train: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --editable '.[train]'
	touch $@

$(VENV)/.ready: $(VENV)/.train
	$(RUN) pip install --quiet --editable '.[dev]'
	touch $@

.venv-backends/.ready: pyproject.toml
	$(PYTHON) -m venv .venv-backends
	.venv-backends/bin/python -m pip install --quiet '$(TORCH)'
	.venv-backends/bin/python -m pip install --quiet --editable '.[jax,torch,dev]'
	touch $@

clean:
	rm -rf .venv .venv-backends demo build dist site .pytest_cache .mypy_cache .ruff_cache
