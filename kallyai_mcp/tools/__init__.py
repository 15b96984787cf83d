"""What an agent sees: the tools' parameters, descriptions, and annotations, and how results
read.
"""
