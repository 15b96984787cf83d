"""How clients connect: over stdin and stdout, or over HTTP, with access policy, rate limits, and
timeouts.
"""
