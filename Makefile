# What a person runs. Everything happens in the environment that `make setup` builds.
PYTHON ?= python3
ENTER := scripts/enter
# demo's settings, passed on only when given: make demo VEHICLES=3 ITERATIONS=2
DEMO_FLAGS = $(foreach name,VEHICLES ITERATIONS BAGS MODE RULE DEVICE SEED STORAGE MALICIOUS ATTACKERS OUT,$(call flag,$(name))) \
	$(if $(ENCRYPT),--encrypt) $(if $(filter 0 no,$(DASHBOARD)),--no-dashboard)
PYTEST := $(ENTER) python -m pytest
# Whole files to each worker, in the order of tests/conftest.py: those that take long first.
parallel = -n $(1) --dist loadfile --no-loadscope-reorder
flag = $(if $($(1)),--$(shell echo $(1) | tr A-Z a-z) '$($(1))')

.PHONY: help setup kubo demo test test-fast test-attacks test-long lint types format lock audit clean

help:
	@echo 'make setup    set everything up (once; a later one takes a second); TORCH=cpu without CUDA'
	@echo 'make demo     set up, then five vehicles learn together; VEHICLES= ITERATIONS= BAGS='
	@echo '              MODE= RULE= ENCRYPT=1 DEVICE= SEED= STORAGE= MALICIOUS= ATTACKERS= OUT= DASHBOARD=no change the defaults'
	@echo 'make kubo     build the IPFS daemon Kubo with Go, for STORAGE=kubo (once, some minutes)'
	@echo 'make test     set up, then run every test; JOBS= at a time, PYTEST_ARGS= passes through'
	@echo 'make test-fast  only what needs no fleet, browser or Kubo and takes no time'
	@echo 'make test-attacks  attack a fleet of three vehicles in every way, for some minutes'
	@echo 'make test-long  property tests on examples drawn by SEED=, ROUNDS= times, and fuzzing'
	@echo 'make lint     ruff; make types: mypy; make format: rewrite the layout'
	@echo 'make lock     pin requirements/*.in anew in requirements/*.txt, with hashes; UPGRADE=1 moves pins'
	@echo 'make audit    look up known vulnerabilities of all that is pinned; ADVISORIES=folders of OSV files'
	@echo 'make clean    delete what was built in this clone'

setup:
	@$(PYTHON) scripts/setup_environment.py $(call flag,TORCH)

kubo: setup
	@$(PYTHON) scripts/build_kubo.py

demo: setup $(if $(filter kubo,$(STORAGE)),kubo)
	@./bift demo $(strip $(DEMO_FLAGS))

test: setup
	@$(PYTHON) scripts/build_kubo.py --if-possible
	$(PYTEST) $(if $(JOBS),$(call parallel,$(JOBS))) $(PYTEST_ARGS)

test-fast: setup
	$(PYTEST) $(call parallel,$(or $(JOBS),$(shell nproc))) \
	    -m 'not (slow or ros or browser or kubo)' $(PYTEST_ARGS)

# A fleet under attack, one in peace: minutes, with the machine to itself.
test-attacks: setup
	$(PYTEST) tests/adversary $(PYTEST_ARGS)

# Each round draws other examples. What fails is repeated by the seed in the line above it.
test-long: SEED ?= 1
test-long: ROUNDS ?= 20
test-long: setup
	for seed in $$(seq $(SEED) $$(($(SEED) + $(ROUNDS) - 1))); do \
	    (set -x; CI= $(PYTEST) $(call parallel,$(or $(JOBS),$(shell nproc))) \
	        -m hypothesis --hypothesis-seed=$$seed $(PYTEST_ARGS)) || exit; \
	done
	$(ENTER) python tests/fuzz/run.py --seed $(SEED) --inputs $$(($(ROUNDS) * 100000))

lint: setup
	$(ENTER) ruff check .
	$(ENTER) ruff format --check .
	$(ENTER) vermin --target=3.10- --no-tips --quiet src scripts tests

types: setup
	$(ENTER) mypy
	MYPYPATH=scripts $(ENTER) mypy -p bift_setup
	MYPYPATH=scripts $(ENTER) mypy scripts/audit_dependencies.py

format: setup
	$(ENTER) ruff check --fix .
	$(ENTER) ruff format .

# In the oldest Python that Bift supports, for every one: markers in the file tell them apart.
lock: PIN = $(ENTER) uv pip compile --quiet --universal --python-version 3.10 --no-header \
    --no-annotate
lock: setup
	$(PIN) $(if $(UPGRADE),--upgrade) requirements/bift.in --output-file requirements/bift.txt
	$(PIN) --constraint requirements/bift.txt \
	    requirements/vehicle.in --output-file requirements/vehicle.txt
	$(PIN) --no-deps --generate-hashes requirements/bift.txt --output-file requirements/hashes.txt

# Status 2 of make, and 1 or 3 of the script: something is known, or could not be looked up.
audit: setup
	$(ENTER) python scripts/audit_dependencies.py $(foreach folder,$(ADVISORIES),--advisories $(folder))

clean:
	rm -rf build install log out .hypothesis .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
