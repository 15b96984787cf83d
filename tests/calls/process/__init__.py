"""One process with a ledger and a fake KallyAI: what is sent, waited for, and taken over."""
