"""A complete KallyAI on this machine: the API of the reference, its sign-in, and a telephone line that is acted out.

It imports nothing from the rest of the package and speaks only HTTP and JSON, so that client and sandbox can't agree
on the same mistake.
"""
