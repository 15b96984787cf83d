"""The texts of results: first the outcome, then the facts that matter, then the one next step."""
