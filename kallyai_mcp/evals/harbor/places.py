"""Where the files of a task are in its container."""

PHONE = "/opt/phone"
"""The folder of the sandbox and the server: the task without what is expected, and their data."""

ANSWER = "/app/answer.txt"
"""What the agent tells its user."""

TASK = "task.json"
DATA = "data"
MESSAGES = "messages.jsonl"
STATE = "sandbox.db"
PORT = "port"
"""The names of the files and folders in the folder of the phone."""
