"""Simulated phone calls: the number called decides what happens, and the submission decides what is
said.

All functions depend on their arguments only: no HTTP, no database, no clock.
"""
