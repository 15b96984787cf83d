"""Placing a call: the call service, the worker that runs calls, the call policy, and the ledger."""
