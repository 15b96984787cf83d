"""What an operator sees: the log on stderr, and the ids that connect its lines to a request.

No line, of this program or of a library, contains a token, a phone number, or the message of an
exception. Such a message may quote arguments, names, or a transcript. The debug logs of libraries
that log whole messages are off. Names of people can't be recognized, so this program never logs
them.
"""
