"""`python -m kallyai_mcp`."""

from kallyai_mcp.cli.start import main

if __name__ == "__main__":
    main()
