"""Everything in this repository that follows from something else: what it is, and one command that
writes it.
"""
