# Every job of the project by its name; `make help` lists them, and what can be set.

# What can be set, as NAME=value or in the environment: the jobs that take it, and what it is. Given to another job it is refused.
RECIPE.jobs := train  ## the training set-up, a name in train/recipes.py (standard)
RESTART.jobs := train  ## 1: give up a training that was interrupted, and begin anew
MODELS.jobs := train export sign bench wheel deploy deploy-model  ## the folder of the models (models)
FMNIST_DATA.jobs := data train teacher export study quick test mutants bench arm-test armv7-test pi-test python-test bulk-test page-test fleet-test  ## a folder with Fashion-MNIST's four files
FMNIST_PHOTOS.jobs := photos train study quick test  ## a folder with the photos of clothes: images.csv and images/
TRY.jobs := study  ## a folder of labelled photos to try each recipe on
TESTS.jobs := quick test  ## which tests: files, folders, or pytest's options (all)
ARITHMETIC.jobs := quick test  ## round as other processors do: one or more of $(ARITHMETICS)
MODULE.jobs := mutants mutants-report  ## one file to break (all in tests/mutants.toml)
PAGES.jobs := pi-test  ## 16k: with a kernel whose pages are of 16 KB, as a Pi 5's
PI.jobs := pi-test  ## which of its tests, as for pytest's -k (all)
FLEET.jobs := fleet-test  ## which of its tests, in the same way (all)
SCREENSHOTS.jobs := page-test  ## where its pictures of the page go (docs)
KEY.jobs := sign trust  ## the private key that signs; for trust, one or several (~/.ssh/fmnist-edge)
HOST.jobs := deploy deploy-model trust rollback fleet-status fetch-photos  ## one device: pi@raspberrypi.local
INVENTORY.jobs := deploy deploy-model trust rollback fleet-status fetch-photos  ## or a list of them, as deploy/inventory.example.yml
SOURCE.jobs := deploy  ## the camera that the device watches; none: no service (the first that works)
ARGS.jobs := deploy deploy-model trust rollback fleet-status fetch-photos  ## more for ansible-playbook: --check, or --limit shelf
PYTHON.jobs = $(filter-out help clean distclean,$(JOBS))  ## what .venv is made with, if there is none yet (python3)

JOBS := help setup data photos train teacher export sign bench study quick test arm-test armv7-test pi-test python-test bulk-test camera-test page-test \
  page-load fuzz mutants mutants-report lint format wheel deploy deploy-model trust rollback fleet-status fleet-test fetch-photos readme \
  release-notes lock clean distclean
SETTABLE := $(patsubst %.jobs,%,$(filter %.jobs,$(.VARIABLES)))
GIVEN := $(foreach name,$(SETTABLE),$(if $(filter-out undefined,$(origin $(name))),$(name)))
# what is in the environment may be there for another program; what was typed here was meant
TYPED := $(foreach name,$(filter-out MAKEFLAGS SHELL,$(.VARIABLES)),$(if $(findstring command,$(origin $(name))),$(name)))
GOALS := $(or $(MAKECMDGOALS),help)
# before the first job begins: `make train exprot` would train, and only then ask for a job of the name "exprot"
$(foreach goal,$(GOALS),$(if $(findstring /,$(goal))$(filter $(JOBS),$(goal)),,$(error there is no job '$(goal)'; 'make help' lists them)))
refused = $(error $(1) $(if $($(1).jobs),means nothing to 'make $(GOALS)'; it is for $(strip $($(1).jobs)),is nothing that can be set; 'make help' lists what can))
$(if $(filter-out $(JOBS),$(GOALS)),,$(foreach name,$(TYPED),$(if $(filter $($(name).jobs),$(GOALS)),,$(call refused,$(name)))))
# it was for this make, and not for one that a job starts
MAKEOVERRIDES :=
# What a user sets is taken as it is: by itself, make would expand each "$" in it.
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name)))$(eval export $(name)))
# one word for the shell, whatever is in it; only a ~/ at its beginning is the home folder
quoted = $(subst '~/,~/','$(subst ','\'',$(1))')
# a RESTART in the environment is of another program: it would give up a training
RESTARTS := $(if $(filter RESTART,$(TYPED)),$(filter-out 0 no,$(RESTART)))
# what to type to go on where this make is interrupted
AGAIN = make $(GOALS)$(foreach name,$(filter-out RESTART,$(GIVEN)),$(if $(filter $($(name).jobs),$(GOALS)), $(name)=$(call quoted,$($(name)))))

PYTHON ?= python3
RECIPE ?= standard
MODELS ?= models
KEY ?= ~/.ssh/fmnist-edge
SCREENSHOTS ?= docs

VENV := .venv
PY := $(VENV)/bin/python
SETUP := $(VENV)/installed
SAME_PYTHON := $(if $(filter PYTHON,$(TYPED)),same-python)
UV := $(VENV)/bin/uv
OLD_RUNTIME := build/tflite-runtime
ANSIBLE := build/ansible
RAY := build/ray
MUTMUT := build/mutmut
PLAYWRIGHT := build/playwright
AXE := build/axe-4.14.1
# make can't have a target of every name: where MODELS is of another alphabet, it goes by a link
IN := $(shell in=$(call quoted,$(MODELS)); case $$in in (*[!A-Za-z0-9/._-]*) \
  link=build/links/$$(printf %s "$$in" | cksum | tr ' ' -); case $$in in (/*) ;; (*) in=$$PWD/$$in ;; esac; \
  mkdir -p build/links; ln -sfn "$$in" $$link; in=$$link ;; esac; echo "$$in")
STAMPS := build/stamps/$(IN)
TRAINED := $(STAMPS)/trained-$(shell printf %s $(call quoted,$(RECIPE)) | tr -c 'A-Za-z0-9._-' _)$(if $(FMNIST_PHOTOS),-with-photos)
KERAS := $(IN)/fmnist.keras
BUNDLE := $(addprefix $(IN)/,fmnist-float.tflite fmnist-int8.tflite fmnist-float.onnx fmnist-int8.onnx golden.npz parity.json manifest.json)

# what a training depends on: also on photos that are there by now; a user's own are read only if there are some
TRAINING := $(filter-out train/study% train/photos.py,$(wildcard train/*.py train/*.in train/*.csv train/*.npz)) edge/fmnist_edge/contract.py \
  $(wildcard $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fmnist-edge/clothing-dataset-*/images.csv)

# FORCE if one of the files is missing: then it is made again, whatever its stamp says
missing = $(if $(filter-out $(wildcard $(1)),$(1)),FORCE)

.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: $(JOBS) FORCE same-python

help:  ## list the jobs, and what can be set
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' Makefile
	@echo
	@awk -F '[.]jobs :?= *|  ## ' '/^[A-Z_]+[.]jobs /{sub(/[$$][(]ARITHMETICS[)]/, "$(ARITHMETICS)", $$3); \
	  sub(/[$$].*/, "all", $$2); printf "%-13s %s; for %s\n", $$1, $$3, $$2}' Makefile

setup: $(SETUP)  ## make .venv with everything that the other jobs need

$(SETUP): $(VENV)/requirements pyproject.toml | $(SAME_PYTHON)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# what is in $(VENV) stays, unless it does not run
$(VENV)/requirements: requirements.txt | $(SAME_PYTHON)
	@$(call quoted,$(PYTHON)) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { \
	  printf "fmnist-edge needs Python 3.10 to 3.13; '%s' is none: make $(GOALS) PYTHON=/path/to/python3.12\n" $(call quoted,$(PYTHON)) >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(call quoted,$(PYTHON)) -m venv --clear $(VENV) || { \
	  echo "no venv could be made; on Debian, Ubuntu and Raspberry Pi OS: sudo apt install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV): about 800 MB, a minute or two"
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

# there may be an environment already: a PYTHON that was typed is not ignored then
same-python:
	@version='import sys; print("Python %d.%d.%d" % sys.version_info[:3])'; \
	test ! -x $(PY) || there=$$($(PY) -c "$$version"); \
	wanted=$$($(call quoted,$(PYTHON)) -c "$$version") || exit 1; \
	test "$${there:-$$wanted}" = "$$wanted" || { \
	  echo "$(VENV) has $$there, and PYTHON is $$wanted: to make it anew, remove $(VENV) first" >&2; exit 1; }

data: $(SETUP)  ## get Fashion-MNIST
	@$(PY) -m train.dataset

photos: $(SETUP)  ## get the photos of clothes that `standard` learns from, and count them
	@$(PY) -m train.clothing

train: $(TRAINED)  ## train models/fmnist.keras (RECIPE=standard)

# the stamp bears the recipe's name, so that another recipe is another thing to do
$(TRAINED): $(TRAINING) $(call missing,$(KERAS)) $(if $(RESTARTS),FORCE) | $(SETUP)
	MAKE_AGAIN=$(call quoted,$(AGAIN)) $(PY) -m train --recipe $(call quoted,$(RECIPE)) --out $(call quoted,$(MODELS)/fmnist.keras) $(if $(RESTARTS),--restart)
	@mkdir -p $(STAMPS) && rm -f $(STAMPS)/trained-* && touch $@

export: $(STAMPS)/exported  ## export models/fmnist.keras to TFLite and ONNX, with proof

$(STAMPS)/exported: $(KERAS) $(wildcard export/*.py export/*.in train/dataset.py edge/fmnist_edge/contract.py edge/fmnist_edge/bundle/*.py edge/fmnist_edge/runtimes/*.py) $(call missing,$(BUNDLE)) | $(SETUP) $(OLD_RUNTIME)
	$(PY) -m export --model $(call quoted,$(MODELS)/fmnist.keras) --out $(call quoted,$(MODELS))
	$(PY) -m bench.readme
	@mkdir -p $(STAMPS) && touch $@

# tflite-runtime wants its own environment, to be measured too; without Python 3.11 or a network it is not
$(OLD_RUNTIME): | $(SETUP)
	@echo "installing tflite-runtime 2.14.0 into $@: about 90 MB"
	@{ $(UV) venv --quiet --no-python-downloads --python 3.11 $@ && \
	  $(UV) pip install --quiet --python $@/bin/python 'numpy<2' pillow tflite-runtime==2.14.0; } || \
	  { rm -rf $@; mkdir -p $@; echo "tflite-runtime 2.14.0 can't be had here (it wants Python 3.11), and will not be measured" >&2; }

# without a model, export says what to do
$(KERAS): ;

FORCE:

teacher: $(SETUP) data  ## train the networks that MLPs learn from, and write their answers: train/answers.npz (an hour)
	$(PY) -m train.teacher

study: $(SETUP) data  ## measure all recipes several times: docs/study.md (an hour)
	$(PY) -m train.study $(if $(TRY),--try $(call quoted,$(TRY)))

# what makes libraries compute as they do on other processors; several names go together
avx2 = ONEDNN_MAX_CPU_ISA=AVX2
sse41 = ONEDNN_MAX_CPU_ISA=SSE41
plain = TF_ENABLE_ONEDNN_OPTS=0
haswell = OPENBLAS_CORETYPE=Haswell
zen = OPENBLAS_CORETYPE=Zen
no-simd = NPY_DISABLE_CPU_FEATURES="$$($(PY) -c 'import numpy; print(*numpy.show_config("dicts")["SIMD Extensions"].get("found", []))')"
one-thread = OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
ARITHMETICS := avx2 sse41 plain haswell zen no-simd one-thread
arithmetic = $(if $(filter $(1),$(ARITHMETICS)),$($(1)),$(error there is no ARITHMETIC=$(1); there are $(ARITHMETICS)))
ROUNDING = $(foreach name,$(ARITHMETIC),$(call arithmetic,$(name)))

# two processes; a file's tests stay together, as they share what they prepare
PYTEST = $(ROUNDING) $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: $(SETUP) data  ## run the tests that answer at once: no TensorFlow, no other Python, no wheel (a minute)
	$(PYTEST) -m 'not (slow or tensorflow or wheel)' $(TESTS)

test: $(SETUP) data  ## run all tests, or some: TESTS=tests/edge/bundle; ARITHMETIC='avx2 haswell' rounds as other processors do
	$(PYTEST) $(TESTS)

arm-test:  ## run the wheel on Debian 12 for 32- and 64-bit Arm, in qemu's user mode (three minutes); armv7-test: 32-bit alone
arm-test armv7-test: data wheel
	@missing=$$(tests/machines/arm/missing.sh); test -z "$$missing" || { \
	  echo "the Arm systems need more: sudo apt-get install $$missing" >&2; exit 1; }
	printf '%s\n' armhf $(if $(filter arm-test,$@),arm64) | xargs -P 2 -I {} tests/machines/arm/build.sh {} build/arm/{} dist/*.whl
	$(PY) -m pytest -rP tests/machines/arm $(if $(filter armv7-test,$@),-k 'not arm64')

pi-test: data wheel  ## run the wheel in an emulated Raspberry Pi, with cameras (a quarter of an hour; PI='not deploy': five minutes; PAGES=16k: a Pi 5's)
	@missing=$$(tests/machines/pi/missing.sh); test -z "$$missing" || { \
	  echo "the emulated Pi needs more: sudo apt-get install $$missing" >&2; exit 1; }
	@case $(call quoted,$(PAGES)) in ''|16k) ;; *) echo "PAGES is 16k, or not given" >&2; exit 1 ;; esac
	tests/machines/pi/build.sh build/pi-vm$(if $(PAGES),-16k) dist/*.whl $(UV) $(if $(PAGES),16k)
	$(PY) -m pytest -rP tests/machines/pi $(if $(PI),-k $(call quoted,$(PI)))

python-test: $(SETUP) data  ## run the wheel with Debian's Python 3.14 (Debian; three minutes)
	@missing=$$(tests/machines/python/missing.sh); test -z "$$missing" || { \
	  echo "Python 3.14 needs more: sudo apt-get install $$missing" >&2; exit 1; }
	tests/machines/python/build.sh build/python-3.14
	PATH=$(CURDIR)/build/python-3.14/bin:$$PATH $(PY) -m pytest -rP tests/edge/test_wheel.py -k 3.14

bulk-test: $(SETUP) data $(RAY)/installed  ## run docs/bulk.md on two nodes of Ray, and kill one (three minutes)
	$(PY) -m pytest -rP tests/machines/ray

# an environment of its own: nothing else needs it
$(RAY)/installed: pyproject.toml | $(SETUP)
	$(UV) venv --quiet --clear --python $(PY) $(RAY)
	$(UV) pip install --quiet --python $(RAY)/bin/python --group ray --editable .
	@touch $@

camera-test: $(SETUP)  ## watch the streams of motion, VLC and FFmpeg (Debian; a minute)
	@missing=$$(tests/machines/servers/missing.sh); test -z "$$missing" || { \
	  echo "the servers want more packages: sudo apt-get install --no-install-recommends $$missing" >&2; exit 1; }
	$(PY) -m pytest -rP -n 3 tests/machines/servers

page-test: $(SETUP) data $(PLAYWRIGHT)/installed  ## use the page in Chromium, and take pictures of it (three minutes)
	@missing=$$(tests/machines/browser/missing.sh); test -z "$$missing" || { \
	  echo "the browser wants more packages: sudo apt-get install --no-install-recommends $$missing" >&2; exit 1; }
	test -d $(AXE) || npm install --prefix $(AXE) --silent --ignore-scripts --no-audit --no-fund axe-core@$(AXE:build/axe-%=%)
	PYTHONPATH=$(PLAYWRIGHT) AXE=$(AXE) SCREENSHOTS=$(call quoted,$(SCREENSHOTS)) $(PY) -m pytest tests/machines/browser

# beside .venv, whose packages the tests need too; the browser is Debian's
$(PLAYWRIGHT)/installed: pyproject.toml | $(SETUP)
	PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 $(UV) pip install --quiet --python $(PY) --target $(PLAYWRIGHT) --group browser
	@touch $@

page-load: $(SETUP)  ## the page under load: clients, viewers, a camera that comes and goes, power cuts, days of answers (ten minutes)
	PAGE_LOAD=1 $(PY) -m pytest -rP tests/edge/page/test_load.py

fuzz: $(SETUP)  ## 20,000 hostile pictures and as many models (five minutes)
	PYTHONPATH=edge $(PY) tests/support/fuzz.py

# all of them, so that one look at the end is enough
lint: $(SETUP) $(ANSIBLE)/installed  ## check format, style, spelling, types and imports; 'make format' mends most of it
	@mkdir -p build; bad=; \
	$(VENV)/bin/ruff format --check . || bad="$$bad; ruff format: make format"; \
	$(VENV)/bin/ruff check . || bad="$$bad; ruff check: make format mends what is marked [*], the rest by hand"; \
	$(VENV)/bin/mypy || bad="$$bad; mypy: by hand"; \
	$(VENV)/bin/codespell || bad="$$bad; codespell: by hand, or into ignore-words-list in pyproject.toml"; \
	PYTHONPATH=. $(VENV)/bin/lint-imports --no-cache >build/lint-imports.log || { cat build/lint-imports.log; \
	  bad="$$bad; lint-imports: imports go down the layers in pyproject.toml"; }; \
	PATH=$(ANSIBLE)/bin:$$PATH ANSIBLE_CONFIG=deploy/ansible.cfg ansible-lint --offline -q --profile production deploy || \
	  bad="$$bad; ansible-lint: by hand, or ansible-lint --fix"; \
	test -z "$$bad" || { echo "to mend$$bad" | sed 's/mend; /mend: /' >&2; exit 1; }; echo "lint: ok"

format: $(SETUP)  ## bring the code into ruff's format, and mend what ruff can mend by itself
	$(VENV)/bin/ruff check --fix --exit-zero --quiet .
	$(VENV)/bin/ruff format .

mutants: $(SETUP) $(MUTMUT)/installed  ## break the code in thousands of places: which break does no test notice? (resumes; an hour; MODULE=file: a minute)
	PYTHONPATH=tests $(PY) -m support.mutants run $(MODULE)

mutants-report: $(SETUP) $(MUTMUT)/installed  ## the table of what `make mutants` has found, and what is still to be looked at
	@PYTHONPATH=tests $(PY) -m support.mutants report $(MODULE)

# beside .venv, whose packages the tests need too
$(MUTMUT)/installed: pyproject.toml | $(SETUP)
	@echo "installing mutmut into $(MUTMUT)"
	$(UV) pip install --quiet --python $(PY) --target $(MUTMUT) --group mutants
	@touch $@

sign: $(SETUP)  ## sign the models, for devices that ask for it (KEY=~/.ssh/fmnist-edge)
	$(PY) -m export.sign --models $(call quoted,$(MODELS)) --key $(call quoted,$(KEY))

# where it was not asked for, it goes with a release, which brings MODELS: another model is no reason to send all packages again
wheel: $(SETUP)  ## build the device's wheel, with the int8 model in MODELS, in dist/
	$(PY) deploy/wheel.py --models $(if $(filter wheel,$(GOALS)),$(call quoted,$(MODELS)),models)

PLAY = $(PY) deploy/play.py

deploy: wheel $(ANSIBLE)/installed  ## bring wheel and model to HOST=pi@raspberrypi.local, or to all of INVENTORY=file
	$(PLAY) site.yml

deploy-model: $(ANSIBLE)/installed  ## bring only the model
	$(PLAY) site.yml -e '{"fmnist_edge_model_only": true}'

trust: $(ANSIBLE)/installed  ## from now on HOST runs only models signed with KEY (or with one of several)
	$(PLAY) trust.yml

rollback: $(ANSIBLE)/installed  ## go back to the release before
	$(PLAY) rollback.yml

fetch-photos: $(ANSIBLE)/installed  ## bring the photos that were labelled on the page of HOST into build/photos/, for train --photos
	$(PLAY) photos.yml

fleet-status: $(ANSIBLE)/installed  ## a table of what runs where, and how it is
	@$(PLAY) status.yml > build/fleet.log || { cat build/fleet.log; exit 1; }
	@cat build/fleet.txt

fleet-test: $(SETUP) data  ## deploy to four "Pis" on this machine, and pull plugs (half an hour; FLEET='not cut_off': some minutes)
	@test "$$(id -u)" = 0 || { echo "the four Pis want root: sudo make fleet-test" >&2; exit 1; }
	@missing=$$(tests/machines/fleet/missing.sh); test -z "$$missing" || { \
	  echo "the four Pis want more packages: sudo apt install $$missing" >&2; exit 1; }
	$(PY) -m pytest -rP tests/machines/fleet $(if $(FLEET),-k $(call quoted,$(FLEET)))

# an environment of its own: the other jobs need nothing of it
$(ANSIBLE)/installed: pyproject.toml | $(SETUP)
	@echo "installing Ansible into $(ANSIBLE): about 50 MB"
	$(UV) venv --quiet --clear --python $(PY) $(ANSIBLE)
	$(UV) pip install --quiet --python $(ANSIBLE)/bin/python --group deploy
	@touch $@

bench: $(SETUP) $(OLD_RUNTIME)  ## time and weigh the artifacts in each runtime, into docs/bench.json and the README
	$(PY) -m bench --models $(call quoted,$(MODELS)) --out $(if $(filter models,$(IN)),docs,$(call quoted,$(MODELS)))
	$(PY) -m bench.readme

readme: $(SETUP)  ## write measured numbers, real output and help into README.md and docs/
	$(PY) -m bench.readme
	$(PY) -m train.study --page

release-notes: $(SETUP)  ## print the part of CHANGELOG.md for the version in pyproject.toml
	@$(PY) deploy/release_notes.py

lock: $(SETUP)  ## choose the newest versions anew: rewrites requirements.txt
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --all-extras --group train --group export --group test --group lint --group build pyproject.toml --output-file requirements.txt

# what takes a moment to make again; in build, only what make itself put there under these names
clean:  ## remove built wheels, packed releases and caches; models, trainings and the environment stay
	@$(call remove,dist $(addprefix build/,deploy wheel fleet.log fleet.txt lint-imports.log) .mypy_cache .pytest_cache .ruff_cache .hypothesis)
	@find $(wildcard bench deploy edge export tests train) -name __pycache__ -exec rm -rf {} +
	@echo "kept: what holds models or was slow to make; 'make distclean' removes .venv and build too, with the models in it"

distclean: clean  ## remove all that is not in the repository but models/: .venv, and build with each model in it
	@find build -name '*.keras' -o -name '*.checkpoint*.npz' 2>/dev/null | sed 's/^/removing a trained model: /'
	@$(call remove,build $(VENV) $(wildcard models/.train-*))

# says what it removes, and how much that is
remove = for path in $(1); do test ! -e "$$path" || { echo "removing $$path ($$(du -sh "$$path" | cut -f1))"; rm -rf "$$path"; }; done
