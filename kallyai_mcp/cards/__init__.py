"""What a person sees: pages that a host of MCP Apps shows beside a tool's answer."""
