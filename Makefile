# Everything a person needs, on a machine with Python 3.11+, make, and a package index.
# `make run` and `make test` are the two to begin with; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help

$(BIN)/python:
	$(PYTHON) -m venv --upgrade-deps $(VENV)

$(VENV)/run.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/test.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[all]' --group test
	touch $@ $(VENV)/run.stamp

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[all]' --group test --group lint --group codegen --group bench
	touch $@ $(VENV)/test.stamp $(VENV)/run.stamp

$(VENV)/bench.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[all]' --group test --group bench
	touch $@ $(VENV)/test.stamp $(VENV)/run.stamp

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /	/' | expand -t 18

run: $(VENV)/run.stamp ## start a broker on 127.0.0.1:9092 with its data in ./data
	exec $(BIN)/datacore broker start $(ARGS)

test: $(VENV)/test.stamp ## run the tests that need nothing but Python
	$(BIN)/python -m pytest -m "not compat and not slow" $(ARGS)

test-compat: $(VENV)/test.stamp ## run real clients against a broker process
	$(BIN)/python -m pytest tests/compat $(ARGS)

test-peers: $(VENV)/test.stamp ## run suites of peers against Apache Kafka and a broker process
	$(BIN)/python -m tests.peers $(ARGS)

test-all: $(VENV)/test.stamp ## run everything: thorough, slow, and with real clients
	DATACORE_HYPOTHESIS=thorough DATACORE_FUZZ_FRAMES=100000 $(BIN)/python -m pytest $(ARGS)

test-differential: $(VENV)/test.stamp ## put sequences of requests to Apache Kafka too (Java, Maven)
	DATACORE_SEQUENCES=2000 $(BIN)/python -m pytest tests/differential/test_sequences.py -s $(ARGS)

test-next-release: $(VENV)/dev.stamp ## drop the specs of newer releases into a copy (Java, Maven)
	$(BIN)/python -m pytest tests/codegen/test_next_release.py $(ARGS)

test-long: $(VENV)/test.stamp ## let the coordinators' machines live a million steps each
	$(BIN)/python -m pytest tests/coordinator -m slow -k "steps_of or many_random" $(ARGS)

lint: $(VENV)/dev.stamp ## check format, style, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/dev.stamp ## specs/ -> datacore/_generated/
	$(BIN)/python -m codegen.generate

generate-check: $(VENV)/dev.stamp ## fail when datacore/_generated/ is not what specs/ say
	$(BIN)/python -m codegen.generate --check

specs: $(VENV)/dev.stamp ## import the official specs of both releases (needs Java and Maven)
	$(BIN)/python -m codegen.import_specs --release 3.9.1 --release 4.1.1

golden: $(VENV)/test.stamp ## make the golden vectors anew (needs Java and Maven)
	$(BIN)/python -m tests.golden.make

bench: $(VENV)/bench.stamp ## measure beside Apache Kafka (needs Java and Maven; nothing else may run)
	$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(VENV)/bench.stamp ## see whether every benchmark still works, without figures
	$(BIN)/python -m benchmarks --quick --json .cache/bench-quick.json $(ARGS)

docs: $(VENV)/dev.stamp ## write the generated pages of docs/ anew, and the pictures
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.make_pictures

build: $(VENV)/dev.stamp ## wheel and sdist in dist/
	$(BIN)/pip install --quiet build
	$(BIN)/python -m build --outdir dist .

clean: ## remove what the targets made, but no data
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help run test test-compat test-peers test-differential test-next-release test-all test-long lint format generate generate-check specs golden bench bench-quick docs build clean
