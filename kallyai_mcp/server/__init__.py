"""The MCP server, built from explicit lists of tools, resources, prompts, extensions, and
middleware.
"""
