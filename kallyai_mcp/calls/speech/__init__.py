"""What was said in a call, as far as it can be understood: each module answers one question.

All of it is pure, works on any transcript in English or Spanish, and takes time in proportion to
its length. Nothing else interprets what was said.

The phrases are in `phrases.toml`. They are few: what they do not show counts as not said.
"""
