"""The command line; the only package that wires the parts together."""
