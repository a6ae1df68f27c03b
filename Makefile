# The two commands for a fresh machine: `make demo` and `make test`. Both install what they need.

.PHONY: demo test bench bench-peers build lint unit loom cluster python help
SCRIPTS := .ci/setup .ci/run bench/demo guest-lib/python/fetch bench/data/fetch-flights bench/data/prepare-flights bench/data/fetch-wordnet bench/data/prepare-wordnet \
	slurm/dev-cluster slurm/test slurm/common.sh $(wildcard slurm/*.sbatch)

help:
	@echo "make demo     set up, build, and run SGD on real flights data"
	@echo "make test     set up, build, and run every check and test"
	@echo "make python   get the interpreter of Python functions and compile it (two minutes)"
	@echo "make cluster  run the job scripts with a real Slurm on two hosts (root)"
	@echo "make bench-peers  install what the benchmarks run beside (Ray, Dask, OpenBLAS, ...)"
	@echo "make bench    run every benchmark and write bench/record/"

demo:
	@.ci/setup
	cargo build --release
	bench/demo

test:
	@.ci/setup test
	$(MAKE) unit lint loom
	$(MAKE) cluster
	bench/demo --quiet

build:
	cargo build --release

python:
	@.ci/setup python
	cargo build --release
	target/release/mobula compile guest-lib/examples/python/hello.py

# One profile for everything, so that the compiler of guests is compiled once.
unit:
	cargo test --release --workspace
	cd guest-lib/python && python3 -m unittest discover -q -s tests -t .

lint:
	cargo fmt --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps
	shellcheck $(SCRIPTS)

# The lock protocol under every interleaving of three preemptions.
loom:
	RUSTFLAGS="--cfg loom" cargo test --release -p mobula-shm --lib --target-dir target/loom lock

# Two hosts on this machine with Slurm; says why where that cannot be.
cluster: build
	slurm/test

# What the benchmarks of Python run beside.
bench-peers:
	python3 -m venv target/peers
	target/peers/bin/pip install --quiet numpy joblib ray dask distributed mpi4py
	@.ci/setup bench

bench:
	@.ci/setup
	cargo build --release
	target/release/mobula-bench run --all --record bench/record
	target/release/mobula-bench report
