"""Evaluations: does an agent with a phone do what its user asks, and say only what happened?

The tasks are tasks of Inspect AI. Nothing here is imported unless somebody runs an evaluation.
"""
