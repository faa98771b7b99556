# make run     set up and execute every notebook; look at runs/index.html afterwards
# make test    set up and pass the tests and every notebook's committed outputs
# make lab     set up and open the course in JupyterLab: labs/self-study, with exercises to fill in
# make solved  set up and open the notebooks as they are committed: with solutions and outputs
# make refresh execute the notebooks and write their outputs into them, clean enough to commit
# make labs    make a course's labs from the notebooks: labs/student, labs/instructor, labs/nbgrader, and labs/submissions for the leaderboard
# make book    make the notebooks into a book for any web server, without network: book/index.html
# make browser click in notebooks and upload a film with a real browser, some minutes; needs Chromium or Chrome
# make gpu     all that only a GPU can show, in eight minutes: numbers against the CPU, speed, memory, training; leaves runs/gpu/gpu.md
# make setup   only set up
#
# Needed beforehand: Python 3.11 or newer, and make. Choices, as in `make run PYTHON=python3.13 JOBS=4`:
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	if $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
endif
VENV ?= .venv
# notebooks or test files at a time
JOBS ?= 2
OUT ?= runs
NOTEBOOKS ?= notebooks
# The set of versions that the tests last passed with. Where it cannot be had any more, or not for this machine, the newest
# versions that pyproject.toml allows are taken instead. CONSTRAINTS= asks for these at once.
CONSTRAINTS ?= constraints.txt

BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
STAMP := $(VENV)/.colorlab-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar off
# One thread for each of the processes side by side: results do not hang on how many there are, and none waits for the others.
ONE_THREAD := OMP_NUM_THREADS=1 PYTHONHASHSEED=0

.PHONY: run test lab solved refresh labs book browser gpu setup constraints clean
.DEFAULT_GOAL := run

run: $(STAMP)
	$(BIN)/python -m colorlab run $(NOTEBOOKS) --out $(OUT) --jobs $(JOBS)

test: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m pytest -q tests $(NOTEBOOKS) -n $(JOBS) --dist loadfile \
		--nbval --nbval-current-env --nbval-sanitize-with tests/nbval.cfg --nbval-cell-timeout 300

# What a learner has written in labs/self-study stays, whatever becomes of the notebooks.
lab: $(STAMP)
	$(BIN)/python -m colorlab.teaching.labs $(NOTEBOOKS) --self-study labs/self-study
	$(BIN)/python -m jupyterlab labs/self-study

solved: $(STAMP)
	$(BIN)/python -m jupyterlab $(NOTEBOOKS)

refresh: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m colorlab run $(NOTEBOOKS) --in-place --jobs $(JOBS)

# What not everyone needs is installed when it is asked for.
labs: $(STAMP)
	$(BIN)/python -c "import nbgrader" 2>/dev/null || $(PIP) $(if $(CONSTRAINTS),-c "$(CONSTRAINTS)") -e ".[labs]"
	$(BIN)/python -m colorlab.teaching.labs $(NOTEBOOKS) --out labs

book: $(STAMP)
	$(BIN)/python -c "import myst_nb, sphinx_book_theme, latex2mathml" 2>/dev/null || $(PIP) $(if $(CONSTRAINTS),-c "$(CONSTRAINTS)") -e ".[book]"
	$(BIN)/python -m colorlab.teaching.book $(NOTEBOOKS) --out book

# The book is looked at in the browser, too.
browser: $(STAMP)
	$(BIN)/python -c "import playwright, myst_nb, sphinx_book_theme, latex2mathml" 2>/dev/null \
		|| $(PIP) $(if $(CONSTRAINTS),-c "$(CONSTRAINTS)") -e ".[browser,book]"
	$(ONE_THREAD) $(BIN)/python -m pytest -q tests/browser

# DEVICE=cpu SMALL=1 tries the script itself; DATA="FOLDER ..." names clips to train the course networks on in the time that is left.
gpu: $(STAMP)
	$(BIN)/python tests/gpu/check.py --device $(or $(DEVICE),cuda) $(if $(SMALL),--small) --out $(OUT)/gpu $(if $(DATA),--data $(DATA))

setup: $(STAMP)

$(STAMP): pyproject.toml $(wildcard constraints.txt)
	@test -n "$(PYTHON)" || { echo "colorlab needs Python 3.11 or newer with venv; name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "colorlab needs Python 3.11 or newer, but $(PYTHON) is older or is not there; name another: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON): some 6 GB, two minutes or more"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if test -n "$(CONSTRAINTS)" && $(PIP) --only-binary=:all: -c "$(CONSTRAINTS)" -e ".[test]"; then :; else \
		test -z "$(CONSTRAINTS)" || echo "The tested set in $(CONSTRAINTS) cannot be installed here; taking the newest versions"; \
		$(PIP) -e ".[test]"; fi
	@touch $(STAMP)

# After the tests have passed with newer versions: record them. What torch brings for its own build stays out of the record.
constraints: $(STAMP)
	$(BIN)/python -m pip --disable-pip-version-check freeze --exclude-editable --exclude colorlab \
		| grep -E '^[A-Za-z0-9._-]+==' | grep -Eiv '^(nvidia|cuda|triton|pip|setuptools|wheel)' | sed 's/+.*//' | tr 'A-Z_' 'a-z-' > constraints.new
	@{ sed -n '/^#/p' constraints.txt; cat constraints.new; } > constraints.next && mv constraints.next constraints.txt && rm constraints.new

clean:
	rm -rf $(VENV) $(OUT) build dist *.egg-info
