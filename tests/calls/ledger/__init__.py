"""That what was decided is what is written, on both databases: storage, leases, crashes, other
versions.
"""
