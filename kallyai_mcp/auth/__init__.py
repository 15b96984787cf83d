"""Sign-in on this machine (the reference's "CLI Authentication") and its tokens; `oauth_server`
signs others in.
"""
