"""The sandbox's sign-in: the reference's "Authentication", with sandbox accounts."""
