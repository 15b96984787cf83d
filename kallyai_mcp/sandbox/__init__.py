"""A local KallyAI: the API and the sign-in of the reference, with simulated phone calls.

It imports nothing from the rest of the package and speaks only HTTP and JSON, so that a mistake in
the client can't be repeated in the sandbox and stay hidden.
"""
