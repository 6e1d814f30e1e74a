# The commands of the template; each makes what it needs.

PORT ?= 8000
COOKIECUTTER_ARGS ?=

ENVIRONMENT = .venv/ready
PYTHON = .venv/bin/python
RENDERED = {{cookiecutter.project_slug}}

.PHONY: help demo test lint clean

help:
	@echo "make demo   render the default service and serve it on http://127.0.0.1:$(PORT), with real data"
	@echo "            PORT=8001 COOKIECUTTER_ARGS=\"geometry_type=POLYGON srid=27700\" change it"
	@echo "make test   test the template, and every variant's own suite against PostGIS"
	@echo "make lint   lint and types of the template's own code"

# One environment for the template and for all that it renders.
$(ENVIRONMENT): requirements.txt $(RENDERED)/pyproject.toml
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	$(PYTHON) -m uv pip install --quiet --python $(PYTHON) --requirement requirements.txt
	rm -rf build/requirements
	.venv/bin/cookiecutter . --no-input --default-config --accept-hooks no --output-dir build/requirements
	$(PYTHON) -m uv pip install --quiet --python $(PYTHON) --requirement build/requirements/*/pyproject.toml --all-extras
	touch $@

demo: $(ENVIRONMENT)
	$(PYTHON) scripts/demo.py --port $(PORT) $(COOKIECUTTER_ARGS)

test: $(ENVIRONMENT)
	$(PYTHON) -m pytest

lint: $(ENVIRONMENT)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

clean:
	rm -rf .venv build
