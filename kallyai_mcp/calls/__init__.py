"""The rules of placing a call: the checks before it, and the dialler."""
