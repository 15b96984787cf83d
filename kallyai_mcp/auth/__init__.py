"""Sign-in on this machine: the reference's "CLI Authentication", where tokens are stored, and how they are renewed.

The package `oauth_server` signs in the users of an HTTP server.
"""
