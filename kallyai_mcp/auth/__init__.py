"""Sign-in on this machine (the reference's "CLI Authentication"), and the storage and the renewal of tokens.

The package `oauth_server` signs in the users of an HTTP server.
"""
