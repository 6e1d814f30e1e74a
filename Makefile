# The commands of the template; each makes what it needs.

PORT ?= 8000
COOKIECUTTER_ARGS ?=

ENVIRONMENT = .venv/ready
COOKIECUTTER = .venv/bin/cookiecutter
PYTHON = .venv/bin/python
RENDERED = {{cookiecutter.project_slug}}

# Not the rendered project's, which are Python only once they are rendered; the tests lint them.
SOURCES = *.py adoption parameters table/*.py benchmarks scripts tests
# This is: it is copied as it is.
GEOTABLES = "$(RENDERED)/src/geotables" "$(RENDERED)/tests/geotables"
PARALLEL = --numprocesses auto --dist worksteal

# A YAML file of presets (tests/presets.py has its format), and the commit to compare with.
PRESETS ?=
BASE ?= HEAD~1

# Of the larger table.
ROWS ?= 10000000

.PHONY: help demo new adopt test variants presets release render-diff test-lowest test-faults bench bench-scale bench-mechanisms pictures lint clean

help:
	@echo "make demo   render the default service and serve it on http://127.0.0.1:$(PORT), with real data"
	@echo "            PORT=8001 COOKIECUTTER_ARGS=\"geometry_type=POLYGON srid=27700\" change it"
	@echo "make adopt DATABASE_URL=... TABLE=schema.table  render a service for a table or view that is there; it is read, not changed"
	@echo "            ALL=schema: every table with geometry; KEY=column: what tells its rows apart; OUT=folder; ARGS=\"auth=oidc\": other parameters"
	@echo "make test   test the template, and prove variants in which every pair of parameter values occurs:"
	@echo "            rendered, linted, typed, migrated, and tested by their own suites against PostGIS, of which"
	@echo "            most run a share of the contract; each file runs with every value of every parameter"
	@echo "            DATABASE_URL=... on that server, where it makes databases of its own"
	@echo "make variants  that proof alone"
	@echo "make variants PRESETS=FILE  the same proof of your own presets, from a YAML file; results in build/variants.xml and .md"
	@echo "            PRESET=name proves one alone, CHANGED=COMMIT those that render otherwise than at that commit of the template,"
	@echo "            or PRESETS_CHANGED=COMMIT than at that commit of the file's own repository"
	@echo "make presets PRESETS=FILE  say what is wrong with such a file, or the names of its presets; variants does it first"
	@echo "make release VERSION=2.2.0  check that this commit can be released, and make the tag"
	@echo "make render-diff BASE=COMMIT  what a change since then changes in rendered projects"
	@echo "make test-lowest  the default service's tests with the lowest versions of packages that its pyproject.toml allows"
	@echo "make test-faults  the part of it on databases that stop, freeze and fail over, and behind PgBouncer"
	@echo "make bench  measure the service beside its peers (BENCH_ARGS=\"--rows 1000000\")"
	@echo "make bench-scale ROWS=10000000  measure how its cost grows with the table"
	@echo "make bench-mechanisms  measure what each mechanism of it gives alone"
	@echo "make pictures  take the pictures of the READMEs anew, in Chromium"
	@echo "make lint   lint and types of the template's own code"

# An environment whose interpreter is gone is made again.
ifeq ($(shell .venv/bin/python -c 'print("runs")' 2>/dev/null),)
.PHONY: $(ENVIRONMENT) $(COOKIECUTTER)
CLEAR = --clear
endif

# What renders, in seconds: it judges presets, before all else is installed.
$(COOKIECUTTER):
	@python3 -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is required")'
	python3 -m venv $(CLEAR) .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	$(PYTHON) -m uv pip install --quiet --python $(PYTHON) "$$(grep ^cookiecutter requirements.txt)"

# One environment for the template and for all that it renders; with auth=oidc it needs the most packages.
$(ENVIRONMENT): requirements.txt $(RENDERED)/pyproject.toml | $(COOKIECUTTER)
	$(PYTHON) -m uv pip install --quiet --python $(PYTHON) --requirement requirements.txt
	rm -rf build/requirements
	.venv/bin/cookiecutter . --no-input --default-config --accept-hooks no --output-dir build/requirements auth=oidc
	cd build/requirements/*/ && "$(CURDIR)/$(PYTHON)" -m uv pip install --quiet --python "$(CURDIR)/$(PYTHON)" --requirement pyproject.toml --all-extras --group dev
	touch $@

# They reach the shell as they were typed, in the environment: no $ is expanded, no quoting lost, and no password printed.
typed = $(foreach name,$(1),$(if $(filter command line,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))

demo: $(ENVIRONMENT)
	$(call typed,FILE LAYER LOAD_ARGS OUT COOKIECUTTER_ARGS)
ifeq ($(FILE),)
	$(PYTHON) scripts/demo.py --port $(PORT) $(COOKIECUTTER_ARGS)
else
	@$(NEW) --serve "$(PORT)" --arguments="$$COOKIECUTTER_ARGS"
endif

new: $(ENVIRONMENT)
	$(call typed,FILE LAYER LOAD_ARGS OUT ARGS)
	@$(NEW) --arguments="$${ARGS-$$COOKIECUTTER_ARGS}"

NEW = $(PYTHON) scripts/new.py --file="$$FILE" --layer="$$LAYER" --load="$$LOAD_ARGS" --out="$${OUT:-..}"

adopt: $(ENVIRONMENT)
	$(call typed,DATABASE_URL TABLE ALL KEY OUT ARGS)
	@$(PYTHON) -m adoption --all "$$ALL" --key "$$KEY" --out "$${OUT:-.}" --arguments "$${ARGS-$$COOKIECUTTER_ARGS}" -- "$$TABLE"

test: $(ENVIRONMENT)
	$(call typed,DATABASE_URL)
	$(PYTHON) -m pytest $(PARALLEL) --junit-xml build/test.xml

variants: $(if $(PRESETS),presets) $(ENVIRONMENT)
	$(call typed,DATABASE_URL PRESETS PRESET CHANGED PRESETS_CHANGED)
	@$(PYTHON) -m pytest $(PARALLEL) --junit-xml build/variants.xml tests/test_variants.py::test_variant \
		$(if $(PRESETS),--summary build/variants.md --presets "$$PRESETS") \
		$(if $(PRESET),--preset "$$PRESET") $(if $(CHANGED),--changed "$$CHANGED") \
		$(if $(PRESETS_CHANGED),--presets-changed "$$PRESETS_CHANGED")

presets: $(COOKIECUTTER)
	$(call typed,PRESETS)
	$(if $(PRESETS),,$(error Name the file: make presets PRESETS=presets.yaml))
	@PYTHONPATH=. $(PYTHON) tests/presets.py "$$PRESETS"

release: $(ENVIRONMENT)
	$(call typed,VERSION)
	@$(PYTHON) scripts/release.py "$$VERSION"

render-diff: $(ENVIRONMENT)
	@$(PYTHON) scripts/render_diff.py $(BASE)

# With the fewest parameters that need all packages.
test-lowest: $(ENVIRONMENT)
	rm -rf build/lowest
	.venv/bin/cookiecutter . --no-input --default-config --accept-hooks no --output-dir build/lowest project_slug=lowest auth=oidc
	$(PYTHON) -m uv venv --quiet --python $(PYTHON) build/lowest/environment
	$(PYTHON) -m uv pip install --quiet --python build/lowest/environment --resolution lowest-direct \
		--requirement build/lowest/lowest/pyproject.toml --all-extras --group build/lowest/lowest/pyproject.toml:dev
	$(MAKE) --directory build/lowest/lowest test PYTHON=../environment/bin/python

test-faults: $(ENVIRONMENT)
	$(PYTHON) -m pytest tests/test_faults.py tests/test_pgbouncer.py

bench: $(ENVIRONMENT) build/bench/peers/ready $(if $(shell command -v cargo),build/bench/martin/bin/martin)
	$(PYTHON) benchmarks/bench.py $(BENCH_ARGS)

bench-scale: $(ENVIRONMENT)
	$(PYTHON) benchmarks/scale.py --rows $(ROWS)

bench-mechanisms: $(ENVIRONMENT)
	$(PYTHON) benchmarks/mechanisms.py $(BENCH_ARGS)

pictures: $(ENVIRONMENT)
	$(PYTHON) scripts/pictures.py

# The peers want other versions of the same packages.
build/bench/peers/ready: benchmarks/requirements.txt
	python3 -m venv build/bench/peers
	$(PYTHON) -m uv pip install --quiet --python build/bench/peers/bin/python --requirement $<
	touch $@

# Of what it can serve, tiles from PostGIS.
build/bench/martin/bin/martin:
	cargo install martin --version 1.14.0 --locked --no-default-features --features postgres --root build/bench/martin

lint: $(ENVIRONMENT)
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)
	$(PYTHON) -m ruff check --no-cache $(GEOTABLES)
	$(PYTHON) -m ruff format --no-cache --check $(GEOTABLES)
	$(PYTHON) -m mypy

clean:
	rm -rf .venv build
