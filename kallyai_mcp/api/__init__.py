"""KallyAI's API over HTTP: client, models, errors.

Imports nothing, so that models and errors are imported fast.
"""
