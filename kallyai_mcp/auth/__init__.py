"""Signing in: the loopback flow of the reference's "CLI Authentication", where tokens are kept, and their renewal."""
