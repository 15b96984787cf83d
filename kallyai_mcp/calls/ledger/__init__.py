"""The ledger: the durable records of calls, in one SQL schema with two drivers (SQLite and
PostgreSQL).
"""
