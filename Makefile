# make all                          the embedded sample, in English
# make all DATA=sample-ja           the one in Japanese; DATA=sample-zh: in Chinese
# make all DATA=yelp [LIMIT=20000]  Yelp/yelp_review_full from the hub
# make all DATA=file FILE=path      your own reviews; or TRAIN=path TEST=path; NAME=name to call them otherwise
#   TEXT= STARS= ID= CATEGORY=      columns that are called otherwise
#   SCALE=1..10                     stars that do not go from 1 to 5: LOW..HIGH, or 'LOW..HIGH step STEP'
#   ENCODING=cp932                  CSV and JSON that are not in UTF-8
#   ENGINE=ray                      work on the Ray cluster that RAY_ADDRESS names, else on one that is started here
# make peers [MODEL=file.gguf]      a language model and SetFit beside the curves: after make all, with its DATA=, FILE= or NAME=
#   URL=http://127.0.0.1:8080       ask an OpenAI-compatible server in place of a file
# make predict TEXT="Great food!"   the star of a text by the best model of the last run, and the words that made it
#   FILE=path OUT=stars.csv         the stars of many texts (.csv, .jsonl, .parquet); TEXT= is the column then, as in make all
#   NAME=name MODEL=file.skops      the best model of another run; or a model of reports/<name>/models
#
# prepare -> features -> score -> curves -> robustness -> report -> log: each stage reads the files of those before. A stage runs
# where its code, its settings or its data have changed (pipeline/project/fingerprint.py); one that was killed goes on where it stood.

# Plain assignments: the command line overrides them, a variable that happens to be in the environment does not.
DATA =
FILE =
TRAIN =
TEST =
LIMIT =
NAME =
TEXT =
STARS =
ID =
CATEGORY =
SCALE =
ENCODING =
ENGINE =
MODEL =
URL =
OUT =
PORT = 5000
PYTHON = python3

# A review or a path may hold a dollar sign, which make would expand, and line breaks, at which it would cut a command.
define line_break


endef
$(foreach name,DATA FILE TRAIN TEST NAME TEXT STARS ID CATEGORY MODEL OUT,\
	$(eval override $(name) := $$(subst $$(line_break), ,$$(value $(name)))))

VENV := .venv
PY := $(VENV)/bin/python
SHELL := /bin/bash

source := $(or $(DATA),sample)
quoted = '$(subst ','\'',$(1))'
# What is neither letter, digit nor one of . _ + - in a name becomes an underscore.
plain = $(shell printf '%s' $(call quoted,$(1)) | LC_ALL=C.UTF-8 sed 's|/*$$||; s|.*/||; s/[^[:alnum:]._+-]/_/g')
stem = $(basename $(patsubst %.gz,%,$(patsubst %.zst,%,$(1))))
dataset := $(or $(call plain,$(NAME)),$(call stem,$(call plain,$(or $(FILE),$(TRAIN)))),$(source))

known := DATA FILE TRAIN TEST LIMIT NAME TEXT STARS ID CATEGORY SCALE ENCODING ENGINE MODEL URL OUT PORT PYTHON PY
unknown := $(filter-out $(known),$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name))))
$(if $(unknown),$(error unknown option $(unknown); known: $(known)))

.PHONY: all prepare features score curves robustness report log peers predict test test-quick bench lint docs ui clean help
.DEFAULT_GOAL := help

# Other reviews under the same name are prepared anew: the options of the last time are kept.
options := $(strip --data $(call quoted,$(source)) --name $(call quoted,$(dataset)) $(if $(LIMIT),--limit $(call quoted,$(LIMIT))) \
	$(if $(FILE),--file $(call quoted,$(FILE))) \
	$(if $(TRAIN),--train $(call quoted,$(TRAIN))) $(if $(TEST),--test $(call quoted,$(TEST))) \
	$(if $(TEXT),--text $(call quoted,$(TEXT))) $(if $(STARS),--stars $(call quoted,$(STARS))) \
	$(if $(ID),--id $(call quoted,$(ID))) $(if $(CATEGORY),--category $(call quoted,$(CATEGORY))) \
	$(if $(SCALE),--scale $(call quoted,$(SCALE))) $(if $(ENCODING),--encoding $(call quoted,$(ENCODING))))

engine := $(if $(ENGINE),--engine $(call quoted,$(ENGINE)))

all prepare features score curves robustness report: | $(VENV)/$(if $(filter ray,$(ENGINE)),.ray,.run)
	@$(PY) -m pipeline all $(options) $(engine) $(if $(filter-out all,$@),--until $@)

# Once more, if need be to another server.
log: report
	@$(PY) -m pipeline log --dataset $(call quoted,$(dataset))

# A language model and SetFit beside the curves: takes an hour.
peers: | $(VENV)/.peers
	@$(PY) -m pipeline peers --dataset $(call quoted,$(dataset)) $(if $(MODEL),--model $(call quoted,$(MODEL))) \
		$(if $(URL),--base-url $(call quoted,$(URL)))

predict: | $(VENV)/.run
	@$(PY) -m pipeline predict $(if $(filter-out file,$(DATA))$(NAME),--dataset $(call quoted,$(or $(call plain,$(NAME)),$(DATA)))) \
		$(if $(MODEL),--model $(call quoted,$(MODEL))) $(if $(OUT),--out $(call quoted,$(OUT))) \
		$(if $(FILE),--file $(call quoted,$(FILE)) $(if $(TEXT),--text $(call quoted,$(TEXT))) $(if $(ID),--id $(call quoted,$(ID))) \
		$(if $(ENCODING),--encoding $(call quoted,$(ENCODING))),--explain $(if $(TEXT),-- $(call quoted,$(TEXT))))

# A worker for each core, up to eight: each holds a gigabyte.
test: lint
	$(PY) -m pytest -n auto --maxprocesses 8 --cov

# Without what starts processes or servers, runs stages or takes more than a second.
test-quick: | $(VENV)/.dev
	$(PY) -m pytest -n auto --maxprocesses 8 -m "not slow and not ray"

bench: | $(VENV)/.dev
	$(PY) -m tests.bench

lint: | $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy --num-workers 2
	$(VENV)/bin/lint-imports

# The whole site: runs the examples, in a minute or two; the pages begin at docs/_build/html/index.html.
docs: | $(VENV)/.docs
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html

ui: | $(VENV)/.run
	$(PY) -m pipeline ui --port $(call quoted,$(PORT))

clean:
	rm -rf data/prepared data/features docs/_build docs/gallery docs/api mlflow.db .mlflow.db.lock .mlflow.db.holder mlruns
	find reports -mindepth 1 -maxdepth 1 ! -name .gitkeep -exec rm -rf {} +

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile
	@echo "Others: make prepare | features | score | curves | robustness | report | log | predict | ui | test | test-quick | bench | lint | docs | clean"

$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or newer is needed, got $$($(PYTHON) --version 2>&1): use make PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[pipeline,cjk]'
	@touch $@

$(VENV)/.ray: $(VENV)/.run
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[ray]'
	@touch $@

$(VENV)/.peers: $(VENV)/.run
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[peers]'
	@touch $@

$(VENV)/.docs: $(VENV)/.run
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
