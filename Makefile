# make all                          the embedded sample
# make all DATA=yelp [LIMIT=20000]  Yelp/yelp_review_full from the hub
# make all DATA=file FILE=path      your own reviews; or TRAIN=path TEST=path; NAME=name to call them otherwise
#
# prepare -> features -> score -> curves -> robustness -> report -> log: each stage reads the files of those before and writes a
# manifest when it is done; a stage that was killed goes on where it stood.

# Plain assignments: the command line overrides them, a variable that happens to be in the environment does not.
DATA =
FILE =
TRAIN =
TEST =
LIMIT =
NAME =
PORT = 5000
PYTHON = python3

VENV := .venv
PY := $(VENV)/bin/python
SHELL := /bin/bash

source := $(or $(DATA),sample)
space := $() $()
quoted = '$(subst ','\'',$(1))'
# What is neither letter, digit nor one of . _ + - in a name becomes an underscore.
plain = $(shell printf '%s' $(call quoted,$(1)) | LC_ALL=C.UTF-8 sed 's|.*/||; s/[^[:alnum:]._+-]/_/g')
dataset := $(or $(call plain,$(NAME)),$(basename $(call plain,$(or $(FILE),$(TRAIN)))),$(source))
escaped = $(subst $(space),\ ,$(1))
existing = $(if $(wildcard $(call escaped,$(1))),$(call escaped,$(1)))
files := $(strip $(call existing,$(FILE)) $(call existing,$(TRAIN)) $(call existing,$(TEST)))

prepared := data/prepared/$(dataset)
features := data/features/$(dataset)
reports := reports/$(dataset)

known := DATA FILE TRAIN TEST LIMIT NAME PORT PYTHON PY
unknown := $(filter-out $(known),$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name))))
$(if $(unknown),$(error unknown option $(unknown); known: $(known)))

.PHONY: all prepare features score curves robustness report log test bench lint ui clean help
.DEFAULT_GOAL := help

all: $(reports)/runs.json
prepare: $(prepared)/manifest.json
features: $(features)/manifest.json
score: $(reports)/manifest.json
curves: $(reports)/curves/manifest.json
robustness: $(reports)/robustness/manifest.json
report: $(reports)/index.html
	@echo "$(CURDIR)/$<"
# Once more, if need be to another server.
log: $(reports)/index.html
	$(PY) -m pipeline log --dataset $(call quoted,$(dataset))

# The one progress bar of all stages begins here.
ifneq ($(filter all,$(MAKECMDGOALS)),)
export PIPELINE_STARTED := $(shell date +%s)
endif

stages := all prepare features score curves robustness report log

# Other reviews under the same name are prepared anew: the options of the last time are kept in a file.
options := $(strip --data $(call quoted,$(source)) --name $(call quoted,$(dataset)) $(if $(LIMIT),--limit $(call quoted,$(LIMIT))) \
	$(if $(FILE),--file $(call quoted,$(FILE))) \
	$(if $(TRAIN),--train $(call quoted,$(TRAIN))) $(if $(TEST),--test $(call quoted,$(TEST))))
ifneq ($(filter $(stages),$(MAKECMDGOALS)),)
ifneq ($(shell cat '$(prepared)/.options' 2> /dev/null),$(options))
$(shell mkdir -p '$(prepared)' && printf '%s\n' $(call quoted,$(options)) > '$(prepared)/.options')
endif
endif

$(prepared)/manifest.json: conf/prepare.yaml $(if $(files),$(files),data/sample/reviews.jsonl) $(prepared)/.options \
		pipeline/prepare.py pipeline/sources.py pipeline/near_identical.py pipeline/text.py | $(VENV)/.run
	$(PY) -m pipeline prepare $(options)

$(features)/manifest.json: $(prepared)/manifest.json $(wildcard conf/features/*.yaml) \
		pipeline/featurize.py pipeline/highlight.py pipeline/text.py $(wildcard pipeline/features/*.py pipeline/encoder/*.py pipeline/taguchi/*.py)
	$(PY) -m pipeline features --dataset $(call quoted,$(dataset))

$(reports)/manifest.json: $(features)/manifest.json conf/score.yaml \
		$(addprefix pipeline/,score.py tasks.py workers.py fitting.py models.py metrics.py) $(wildcard pipeline/taguchi/*.py)
	$(PY) -m pipeline score --dataset $(call quoted,$(dataset))

$(reports)/curves/manifest.json: $(reports)/manifest.json conf/curves.yaml $(addprefix pipeline/,curves.py draws.py contrasts.py costs.py verdict.py)
	$(PY) -m pipeline curves --dataset $(call quoted,$(dataset))

$(reports)/robustness/manifest.json: $(reports)/curves/manifest.json conf/robustness.yaml data/sample/reviews.jsonl \
		$(addprefix pipeline/,robustness.py refitted.py changes.py slices.py costs.py)
	$(PY) -m pipeline robustness --dataset $(call quoted,$(dataset))

$(reports)/index.html: $(reports)/robustness/manifest.json conf/report.yaml \
		$(addprefix pipeline/,report.py results.py pictures.py plots.py curve_plots.py svg.py tables.py wording.py summary.py highlight.py) \
		$(wildcard pipeline/templates/report.*)
	$(PY) -m pipeline report --dataset $(call quoted,$(dataset))

$(reports)/runs.json: $(reports)/index.html pipeline/tracking.py pipeline/logged.py
	$(PY) -m pipeline log --dataset $(call quoted,$(dataset))

test: lint
	$(PY) -m pytest --cov

bench: | $(VENV)/.dev
	$(PY) -m tests.bench

lint: | $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

ui: | $(VENV)/.run
	$(PY) -m pipeline ui --port $(PORT)

clean:
	rm -rf data/prepared data/features mlflow.db mlruns
	find reports -mindepth 1 -maxdepth 1 ! -name .gitkeep -exec rm -rf {} +

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile
	@echo "Others: make prepare | features | score | curves | robustness | report | log | ui | test | bench | lint | clean"

$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or newer is needed, got $$($(PYTHON) --version 2>&1): use make PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
