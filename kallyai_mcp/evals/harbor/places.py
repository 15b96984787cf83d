"""Where the files of a task are in its container."""

PHONE = "/opt/phone"
"""The folder of the sandbox and the server: the task without what is expected, and their data."""

ANSWER = "/app/answer.txt"
"""What the agent tells its user."""

TASK, DATA, MESSAGES = "task.json", "data", "messages.jsonl"
STATE, PORT = "sandbox.db", "port"
"""The names of the files and folders in the folder of the phone."""
