"""What an agent sees: the tools' parameters, docstrings and annotations, and how results read."""
