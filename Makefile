# make run    sets everything up and starts it; takes a minute the first time
# make test   runs the test suite on SQLite; needs no service (services-test includes the slow tests)
# README.md lists all targets, docs/settings.md all settings (HOST, PORT, DATABASE_URL, DATA_DIR, ...).

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install -qq --require-hashes
TEMPLATES = $$(find templates instances -name '*.html')
# The marks of what is installed. A newer lock or a new environment is installed again.
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development
SERVICES_DATABASE_URL ?= postgres://postgres@localhost:5432/postgres

# The tests start many processes, and pytest rewrites each of their modules: only once if it may keep the result.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run setup test check deployment-check format lock messages bench screenshots browser-test services-test fault-run endurance-test
.DELETE_ON_ERROR:

run: setup
	@$(PY) -m config.first_run
	@exec $(PY) manage.py up

setup: $(RUNTIME)

test: $(DEVELOPMENT)
	@unset DATABASE_URL DATA_DIR; $(PY) -m pytest -n auto --dist loadgroup -m "not services and not slow and not endurance"

browser-test: $(DEVELOPMENT)
	@unset DATABASE_URL DATA_DIR; $(PY) -m pytest -m browser

screenshots: $(DEVELOPMENT)
	@unset DATABASE_URL DATA_DIR; $(PY) -m tests.screenshots

bench: $(DEVELOPMENT)
	@$(PY) -m bench.api
	@$(PY) -m bench.proxy
	@$(PY) -m bench.refresh
	@$(PY) -m bench.lists
	@$(PY) -m bench.bulk
	@$(PY) -m bench.rotation

# Celery's tests also need brokers: on their default ports, or in SERVICES_REDIS_URL and SERVICES_AMQP_URL.
services-test: $(DEVELOPMENT)
	@$(PY) -c 'import psycopg, sys; psycopg.connect(sys.argv[1], connect_timeout=3)' \
	  "$(SERVICES_DATABASE_URL)" || { echo "No PostgreSQL answers; name one in SERVICES_DATABASE_URL." >&2; exit 1; }
	@unset DATA_DIR; DATABASE_URL="$(SERVICES_DATABASE_URL)" $(PY) -m pytest -n auto --dist loadgroup -m "(not browser or slow) and not endurance"

fault-run: $(DEVELOPMENT)
	@unset DATA_DIR; export FAULT_RUN_ROWS="$${FAULT_RUN_ROWS:-2000}"; \
	  DATABASE_URL="$(SERVICES_DATABASE_URL)" $(PY) -m pytest -s tests/services/test_fault_run.py \
	  tests/services/test_faults_of_tokens.py

endurance-test: $(DEVELOPMENT)
	@unset DATABASE_URL DATA_DIR; $(PY) -m pytest -m endurance

check: $(DEVELOPMENT)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(VENV)/bin/lint-imports --no-logo
	$(PY) -m mypy .
	$(VENV)/bin/djade --check $(TEMPLATES)
	$(PY) -m djlint --check --lint --quiet $(TEMPLATES)
	DJANGO_SETTINGS_MODULE=tests.settings $(PY) manage.py makemigrations --check --dry-run
	@$(MAKE) --no-print-directory deployment-check

deployment-check: $(DEVELOPMENT)
	@$(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING

format: $(DEVELOPMENT)
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
	-$(VENV)/bin/djade $(TEMPLATES)
	-$(PY) -m djlint --reformat --quiet $(TEMPLATES)

# Resolves the dependencies of pyproject.toml again (docs/decisions/0005). Needs uv on the PATH.
UV ?= uv
COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.12

lock:
	@$(UV) --version >/dev/null 2>&1 || { echo "uv was not found. Install it (pipx install uv), or name it: make lock UV=/path/to/uv" >&2; exit 1; }
	$(COMPILE) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) --all-extras --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

messages: $(DEVELOPMENT)
	@$(PY) -m tests.support.messages

# Production settings for the check: https, no debugging, no sandbox, and throwaway keys.
PRODUCTION = DEBUG=false SANDBOX_ENABLED=false PUBLIC_URL=https://instances.example.com \
  ALLOWED_HOSTS=instances.example.com DATA_DIR=$(VENV)/production DATABASE_URL=sqlite://:memory: \
  SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(50))')" \
  ENCRYPTION_KEYS="$$($(PY) -c 'from instances.crypto import sealing; print(sealing.generate_key())')"

$(RUNTIME): requirements.lock $(PY)
	@echo "Installing what the program needs ..."
	@$(PIP) -r requirements.lock
	@touch $@

$(DEVELOPMENT): requirements-dev.lock $(PY)
	@echo "Installing what the program and its checks need ..."
	@$(PIP) -r requirements-dev.lock
	@touch $@

# Run each candidate: a pyenv shim may exist for a version that is not installed.
$(PY):
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3 python; do \
	  if "$$python" -c 'import ensurepip, sqlite3, ssl, sys, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$($$python --version) ..."; \
	    exec "$$python" -m venv --clear $(VENV); \
	  fi; \
	done; \
	echo "No Python 3.12 or newer was found (with venv and SQLite). Install one, or name it: make run PYTHON=/path/to/python3" >&2; \
	exit 1
