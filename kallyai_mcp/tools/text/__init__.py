"""How results read: outcome first, then the facts that matter, then the one next step."""
