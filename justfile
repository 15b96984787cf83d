# `just` lists what one can do; each line is a command that also works without just.

[private]
default:
    @just --list

# Show a call on the sandbox, from sign-in to transcript
demo:
    uv run kallyai-mcp demo

# Run the tests that start no programs; with --all, all; or those that are named
test *ARGS:
    uv run pytest {{ARGS}}

# Check style, types, and the suite
check:
    uv run --group lint ruff check
    uv run --group lint ruff format --check
    uv run --all-groups mypy
    uv run pytest --all

# Format the code
format:
    uv run --group lint ruff check --fix
    uv run --group lint ruff format

# Write what is derived: snapshots, first answers, manifests, tables of the pages
update:
    uv run python -m tests.update

# Place calls with a service that fails in every way
faults *ARGS:
    uv run python -m tests.faults {{ARGS}}

# Test with random arguments, responses, and requests
fuzz *ARGS:
    uv run python -m tests.fuzz {{ARGS}}

# Run MCP's official conformance suite
conformance:
    uv run python -m tests.conformance

# Run the examples of docs/frameworks.md with their frameworks
frameworks:
    uv run python -m tests.frameworks
    uv run python -m tests.frameworks.sign_in

# Check the tasks and scores of the evaluations
evals *ARGS="--check":
    uv run --group evals python -m kallyai_mcp.evals {{ARGS}}

# Measure; the machine should be idle
bench:
    uv run python -m tests.bench

# Check the dependencies
supply *ARGS:
    uv run --all-groups python -m tests.supply {{ARGS}}

# Record the demo as animated pictures, into a folder
recording FOLDER:
    uv run python -m tests.docs.recording {{FOLDER}}

# Make the pictures of the cards and the consent page, into a folder
pictures FOLDER:
    uv run --group browser python -m tests.cards.pictures {{FOLDER}}

# Everything that must pass before a change lands (Debian and root)
ci:
    .ci/run
