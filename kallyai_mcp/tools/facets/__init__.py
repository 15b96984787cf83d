"""What is known of a call, in small frozen values that the texts and the structures are made of.

Each of them is made by one pure function, from the record, the transcript, and the calendar file.
"""
