"""The tasks in the format of Harbor (harborframework.com), whose agents run in containers.

`export` writes them; what runs in a task's container is `python -m kallyai_mcp.evals.harbor`.
"""
