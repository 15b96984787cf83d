"""The ledger: the durable records of calls."""
